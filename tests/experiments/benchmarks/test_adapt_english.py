"""The table of mpt adapt on files: every way is scored on the same rows, here of made-up tasks."""

from __future__ import annotations

import csv

import adapt_english as benchmark  # type: ignore[import-not-found]
import pytest
from sklearn.metrics import f1_score
from support.toy_study import write_tasks

from mpt.data.modules.few_shot import FewShotData


@pytest.mark.slow
def test_the_table_is_written(tmp_path):
    root, out = write_tasks(tmp_path / "data"), tmp_path / "table.csv"
    words = ["--root", root, "--tasks", "ag_news", "--steps", 2, "--every", 1, "--test", 6, "--out", out]
    benchmark.main([*map(str, words), "--backbone", "mpt-tiny", "--library", "synthetic"])
    head, *rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    assert tuple(head) == benchmark.HEAD and [row[1] for row in rows] == list(benchmark.WAYS)
    assert all(0 <= float(row[3]) <= 100 for row in rows) and float(rows[2][4]) > float(rows[0][4])


def test_letters_are_learned_by_tf_idf(tmp_path):
    """Words of letters from one half of the alphabet or the other share none, so that it answers one label."""
    data = FewShotData("ag_news", str(write_tasks(tmp_path / "data")), 13, test_examples=4, test_choice="spread")
    data.setup()
    _, score = benchmark.by_tf_idf(data, None, tmp_path)
    gold = [label for _, label in benchmark._pairs(data, "test")]
    assert len(gold) == 4
    assert score in [pytest.approx(f1_score(gold, [label] * 4, average="macro", zero_division=0)) for label in "gb"]
