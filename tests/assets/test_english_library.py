"""The shipped library of real tasks: source tasks alone, and what its entries say of themselves is so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpt.adapt.tuning import answers
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import lies_at
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.partitions import load_partition
from mpt.library.library import Library, shipped_for, shipped_libraries
from mpt.util.errors import UserError

SIZE, BACKBONE = 3_000_000, "smollm2-135m"


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.open("english")


def test_it_is_that_of_its_backbone():
    assert shipped_for(BACKBONE) == "english" and shipped_for("mpt-tiny") is None and shipped_for(None) is None
    assert set(shipped_libraries()) == {"english", "synthetic"}


def test_it_has_the_source_tasks_and_no_task_that_is_held_out(library):
    partition, entries = load_partition("english-classification"), library.entries()
    assert sorted(entry.task for entry in entries) == sorted(partition.source) and len(entries) == 25
    assert not library.refused and {entry.backbone for entry in entries} == {BACKBONE}
    assert library.recipe.chat_template and all(entry.facts["chat_template"] for entry in entries)
    assert sum(library.cost(entry)[1] for entry in entries) == 25 * 60 * 8  # steps of 8 examples
    assert sum(path.stat().st_size for path in library.folder.rglob("*") if path.is_file()) < SIZE


def _there() -> bool:
    try:
        return lies_at(BACKBONE) is not None
    except UserError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _there(), reason=f"{BACKBONE} is not installed (make english)")
@pytest.mark.skipif("MPT_CROSSFIT" not in os.environ, reason="needs MPT_CROSSFIT, the folder of CrossFit's task data")
def test_a_value_reproduces_its_dev_score(library):
    entry = library.entry("ethos-disability-13")
    root = Path(os.environ["MPT_CROSSFIT"]) / "fewshot"
    data = FewShotData(entry.task, str(root), entry.seed)
    data.setup()
    options = BackboneOptions(chat_template=True, max_input_length=128, max_target_length=8)
    backbone = FrozenBackbone(BACKBONE, options).eval()
    assert backbone.fingerprint == entry.fingerprint
    score, _ = answers(backbone, [library.value(entry)], data, data.fewshot.dev, data.labels)[0]
    assert score == pytest.approx(entry.dev_score, abs=0.1)  # it was judged in bfloat16's arithmetic
