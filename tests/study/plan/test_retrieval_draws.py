"""What the runs of methods that retrieve see of a target: the draw of the downstream runs, and nothing else of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.changes import replaced
from support.study_library import write_library

from mpt.data.fewshot.files import load_fewshot
from mpt.data.modules.mixture import MixtureData
from mpt.fit.configs import find_config
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

SOURCES, TARGET, SEED = ["syn-topic-news", "syn-size-ad"], "syn-age-blog", 42

STUDY = """
backbone: mpt-tiny
root: synthetic
partition: PLACE/tasks.yaml
library: PLACE/library
seeds: [42]
baseline: Mixture
methods:
  Mixture:
    retrieve: {use: mixture, top_k: 2}
    upstream: {config: spot, overrides: {model.prompt_length: 3, trainer.max_steps: 2}}
    downstream: {config: prompt_tuning, overrides: {model.prompt_length: 3}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_library(tmp_path / "library", "abc", "mpt-tiny", tuple(SOURCES))
    (tmp_path / "tasks.yaml").write_text(f"source: {json.dumps(SOURCES)}\ntarget: [{TARGET}]\n", encoding="utf-8")
    return tmp_path


def cells(place: Path, *changes: tuple[str, str]) -> dict[str, PlannedRun]:
    pairs = [text for pair in (*changes, ("PLACE", str(place))) for text in pair]
    (place / "study.yaml").write_text(replaced(STUDY, *pairs), encoding="utf-8")
    return {cell.key: cell for cell in plan(load_study(place / "study.yaml"), place / "out")}


def of_data(cell: PlannedRun) -> dict[str, Any]:
    """The data options of a run's command line that are of the target and of the sizes of draws."""
    words = dict(word.removeprefix("--").split("=", 1) for word in cell.arguments[1:])
    wanted = ("data.seed", "data.k", "data.target", "data.target_k")
    given = {name.removeprefix("data."): words[name] for name in wanted if name in words}
    return {name: value if name == "target" else json.loads(value) for name, value in given.items()}


AT_ALL = ("seeds: [42]", "seeds: [42]\nsource_k: 64")
UPSTREAM = ("trainer.max_steps: 2}", "trainer.max_steps: 2, data.k: 64}")


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        [],
        [AT_ALL],
        [UPSTREAM],
        [("seeds: [42]", "seeds: [42]\nk: 4"), UPSTREAM],
        [AT_ALL, ("seeds: [42]", "seeds: [42]\ntarget_k: 4")],
        [("seeds: [42]", "seeds: [42]\ntarget_k: 4"), ("max_steps: 2", "max_steps: 2, data.target_k: 4")],
        [("seeds: [42]", "seeds: [42]\noverrides: {data.k: 4}")],
    ],
)
def test_a_mixture_learns_on_what_its_downstream_runs_train_on_and_on_nothing_of_their_dev_set(place, changes):
    planned = cells(place, *changes)
    downstream = load_fewshot("synthetic", TARGET, SEED, of_data(planned[f"Mixture/{TARGET}-42"]).get("k"))
    data = MixtureData(SOURCES, seeds=[13], **of_data(planned[f"Mixture/upstream-{TARGET}-42"]))
    data.setup("fit")
    assert data.pools[TARGET] == downstream.train
    assert not set(data.pools[TARGET]) & {*downstream.dev, *downstream.test}


def test_a_larger_draw_of_the_target_by_an_option_is_refused(place):
    said = r"study.yaml: methods.Mixture.upstream: .*of no given size.* with data.target_k = 64; leave that out"
    with pytest.raises(UserError, match=said):
        cells(place, ("max_steps: 2", "max_steps: 2, data.target_k: 64"))


@pytest.mark.parametrize(
    "changes",
    [
        [("prompt_length: 3}", "prompt_length: 3, data.k: 4}")],
        [("prompt_length: 3}", "prompt_length: 3, data.init_args.k: 4}")],
        [("config: prompt_tuning", "config: own.yaml")],
        [("prompt_length: 3}", "prompt_length: 3, data.k: 4}"), ("seeds: [42]", "seeds: [42]\ntarget_k: 16")],
    ],
)
def test_a_key_that_would_see_more_of_the_target_than_its_method_is_refused(place, changes):
    config = find_config("prompt_tuning").read_text(encoding="utf-8")
    (place / "own.yaml").write_text(replaced(config, "    seed: 13\n", "    seed: 13\n    k: 4\n"), encoding="utf-8")
    said = (
        r"study.yaml: methods.Mixture.downstream: .*\(k = 4, by data.k\) are not .*; give target_k in place of data.k"
    )
    with pytest.raises(UserError, match=said):
        cells(place, *changes)


@pytest.mark.parametrize(
    "changes",
    [
        [("seeds: [42]", "seeds: [42]\ntarget_k: 4")],
        [("seeds: [42]", "seeds: [42]\noverrides: {data.k: 4}")],
        [("seeds: [42]", "seeds: [42]\ntarget_k: 4"), ("prompt_length: 3}", "prompt_length: 3, data.k: 4}")],
        [("partition: PLACE", "settings: {a: {overrides: {data.k: 4}}}\npartition: PLACE")],
    ],
)
def test_a_key_is_made_from_the_draw_of_its_method(place, changes):
    planned = cells(place, *changes)
    seen = {cell.stage: of_data(cell).get("k") for cell in planned.values() if cell.method != "Mixture"}
    assert seen == {"upstream": 4} and of_data(planned[f"Mixture/{TARGET}-42"])["k"] == 4
