"""CrossFit's sampling of records, and of whole pools; its k-shot files are in test_fewshot.py."""

from __future__ import annotations

import numpy as np
import pytest

from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.sampling import draw, sample, shuffled
from mpt.data.tasks.task import Example


@pytest.mark.parametrize("k", [1, 3, 100, "all"])
@pytest.mark.parametrize("by_label", [True, False])
def test_records_are_drawn_as_examples_are(k, by_label):
    texts = [(str(i), ("a\tb", "a", "c")[i % 3]) for i in range(40)]
    records = [Record(*text) for text in texts]
    examples = [Example(input, tuple(output.split("\t"))) for input, output in texts]
    for drawn, same in zip(sample(records, k, 13, by_label), sample(examples, k, 13, by_label), strict=True):
        assert [record.input for record in drawn] == [example.input for example in same]


@pytest.mark.parametrize(("size", "dev"), [(4, 0), (5, 1), (99, 19), (5119, 1023), (5120, 1024), (20_000, 1024)])
def test_the_whole_pool_is_cut_at_its_end(size, dev):
    records = [Record(str(i), "x") for i in range(size)]
    # By the legacy global generator, as CrossFit calls it.
    lines = list(records)
    np.random.seed(21)
    np.random.shuffle(lines)  # type: ignore[arg-type]
    train, held = sample(records, "all", 21, by_label=True)
    assert train + held == lines and len(held) == dev


def test_one_shuffle_serves_every_size():
    records = [Record(str(i), "xy"[i % 2]) for i in range(50)]
    order = shuffled(records, 42)
    for k in (2, 8, "all"):
        assert draw(order, k, True) == sample(records, k, 42, True)
    assert records == [Record(str(i), "xy"[i % 2]) for i in range(50)]
