"""Files that nobody thought of: random bytes, good files changed at random places, values of any kind in their objects.

A reader returns, or says what is wrong in a sentence. How many files are tried of each kind: ``MPT_FUZZ``, or 40.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpt.data.fewshot.files import read_tsv
from mpt.data.tables.own_task import read_own_task
from mpt.data.tables.rows import read_rows
from mpt.data.tables.texts import open_texts
from mpt.data.tasks.mixtures import load_mixture
from mpt.data.tasks.partitions import load_partition
from mpt.library.library import Library
from mpt.prompt.files import read_prompt
from mpt.prompt.numpy_file import read_numpy
from mpt.record.result import RunResult, read_result
from mpt.record.rows import read_metrics, read_predictions
from mpt.study.report.score_file import report_of_scores
from mpt.study.spec.study import load_study
from mpt.sweep.file import load_sweep
from mpt.util.errors import UserError

READERS: dict[str, Callable[[Path], object]] = {
    "rows.csv": read_rows,
    "rows.tsv": read_rows,
    "rows.jsonl": read_rows,
    "rows.txt": lambda path: list(open_texts(path).rows()),
    "data/toy/toy_16_13_train.tsv": read_tsv,
    "own.yaml": read_own_task,
    "partition.yaml": load_partition,
    "mixture.yaml": load_mixture,
    "study.yaml": load_study,
    "sweep.yaml": load_sweep,
    "scores.csv": lambda path: report_of_scores(path, "x", "PT"),
    "prompt/adapter_config.json": lambda path: read_prompt(path.parent),
    "prompt/mpt.json": lambda path: read_prompt(path.parent),
    "prompt/adapter_model.safetensors": lambda path: read_prompt(path.parent),
    "library/library.json": lambda path: Library.open(path.parent).entries(),
    "rows.npy": read_numpy,
    "result.json": read_result,
    "metrics.jsonl": read_metrics,
    "predictions.jsonl": read_predictions,
}
OBJECTS = [name for name in READERS if name.endswith((".json", ".jsonl"))]

FUZZ = settings(
    max_examples=int(os.environ.get("MPT_FUZZ", 40)),
    derandomize="MPT_FUZZ" not in os.environ,
    deadline=20_000,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**40, -1, "\x1b[2J", "../..", "a\nb", "=1", "nan", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PIECES = ["\0", '"', "\n", "\r", "\t", ",", "{", "[", "}", ": ", "&a *a", "- ", "\u2028", "NaN", "9" * 40, "<<: "]
cuts = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.binary(max_size=12) | st.sampled_from([piece.encode() for piece in PIECES]),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def files(here) -> Iterator[Path]:
    """The good files, and three more that a run writes."""
    result = RunResult(metric="ACC", score=0.5, dev_score=0.5, best_step=2, steps=4, examples=8, seconds=1.0)
    (here / "result.json").write_text(json.dumps({"method": "PT", **vars(result)}))
    (here / "metrics.jsonl").write_text('{"step": 2, "dev/score": 0.5}\n{"step": 4, "train/loss": 1.5}\n')
    (here / "predictions.jsonl").write_text('{"input": "a", "references": ["b"], "prediction": "c"}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield here


def reads(name: str, folder: Path, content: bytes) -> None:
    path = folder / name
    good = path.read_bytes()
    try:
        path.write_bytes(content)
        READERS[name](path)
    except UserError as mistake:
        assert str(mistake)
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", READERS)
def test_the_good_file_is_read(name, files):
    READERS[name](files / name)


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes(name, files, content):
    reads(name, files, content)


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(cuts=cuts)
def test_a_good_file_that_was_changed_somewhere(name, files, cuts):
    content = (files / name).read_bytes()
    for place, gone, fresh in cuts:
        at = int(place * len(content))
        content = content[:at] + fresh + content[at + gone :]
    reads(name, files, content)


@pytest.mark.parametrize("name", OBJECTS)
@FUZZ
@given(data=st.data())
def test_anything_in_a_place_of_a_good_object(name, files, data):
    first, *others = (files / name).read_text().split("\n") if name.endswith("l") else [(files / name).read_text()]
    content: Any = json.loads(first)
    content[data.draw(st.sampled_from([*content, "new"]))] = data.draw(anything)
    reads(name, files, "\n".join([json.dumps(content), *others]).encode())


@pytest.mark.parametrize("name", OBJECTS)
@FUZZ
@given(content=anything)
def test_any_json(name, files, content):
    reads(name, files, json.dumps(content).encode())
