"""The prompt library that ships with the package: source tasks alone, made by the recipe that it states."""

from __future__ import annotations

import pytest
import torch

from mpt.adapt.tuning import TuningJob, answers, early_prompts, plain_start
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import load_fewshot
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.partitions import load_partition
from mpt.library.library import Library

SIZE = 1_500_000


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.open("synthetic")


@pytest.fixture(scope="module")
def backbone() -> FrozenBackbone:
    return FrozenBackbone("mpt-tiny").eval()


def test_it_has_the_source_tasks_and_no_task_that_is_held_out(library, backbone):
    partition = load_partition("synthetic-random-to-random")
    entries = library.entries(backbone.fingerprint)
    assert sorted(entry.task for entry in entries) == sorted(partition.source)
    assert not library.refused and len(library.entries()) == len(entries) == 53
    assert sum(library.cost(entry)[1] for entry in entries) == 254_400  # 600 steps of 8 examples for each of the 53
    assert sum(path.stat().st_size for path in library.folder.rglob("*") if path.is_file()) < SIZE


@pytest.mark.parametrize("task", ["syn-tense-report", "syn-list-first"])
def test_a_value_reproduces_its_dev_score(library, backbone, task):
    entry = next(entry for entry in library.entries() if entry.task == task)
    draw = load_fewshot("synthetic", task, entry.seed, entry.facts["k"])
    data = FewShotData(task, seed=entry.seed, k=entry.facts["k"])
    data.setup()
    score, _ = answers(backbone, [library.value(entry)], data, draw.dev)[0]
    assert score == pytest.approx(entry.dev_score, abs=0.02)  # on another machine one example may fall otherwise


@pytest.mark.long
def test_a_key_is_made_by_the_recipe(library, backbone):
    """From the command line's words alone, beside no other task."""
    entry = next(entry for entry in library.entries() if entry.task == "syn-list-last")
    recipe = library.recipe
    data = FewShotData(entry.task, seed=entry.seed, k=entry.facts["k"], batch_size=recipe.batch_size)
    data.setup()
    start = plain_start(backbone, recipe.prompt_length, recipe.seed)
    key = early_prompts(backbone, [TuningJob(entry.name, data, start, recipe.learning_rate)], recipe.key_steps)[0]
    moved, mine = (library.key(entry) - start).flatten(), (key - start).flatten()
    # Rounding in another order grows over the steps, so alike and not equal.
    assert torch.cosine_similarity(moved, mine, 0) > 0.99
