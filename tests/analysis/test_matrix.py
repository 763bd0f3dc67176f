"""The matrix of transfers against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib.image
import pytest
from support.all_tried import write_tried

from mpt.analysis.matrix import draw_matrix, matrix, matrix_table, transfers_by
from mpt.analysis.transfers import read_transfers


@pytest.fixture(scope="module")
def transfers(tmp_path_factory):
    return read_transfers(write_tried(tmp_path_factory.mktemp("tried")).study)[0]


def test_error_reduction_is_that_of_mean_scores_over_prompts_and_seeds(transfers):
    sources, targets, values = matrix(transfers)
    assert targets == ["t", "u"]
    found = dict(zip(sources, values, strict=True))
    # t: the baseline is at 0.6, u: at 0.3; s-a has two prompts.
    assert found["s-a"] == pytest.approx([100 * (0.75 - 0.6) / 0.4, 100 * (0.225 - 0.3) / 0.7])
    assert found["s-b"] == pytest.approx([100 * (0.85 - 0.6) / 0.4, 100 * (0.55 - 0.3) / 0.7])
    assert found["s-d"] == pytest.approx([100 * (0.5 - 0.6) / 0.4, 100 * (0.4 - 0.3) / 0.7])
    # s-b 49.1, s-a 13.4, s-c 7.9, s-d -5.4 on average
    assert sources == ["s-b", "s-a", "s-c", "s-d"]


def test_single_prompts_keep_their_own_numbers(transfers):
    (row,) = [row for row in transfers_by(transfers, "source") if (row.source, row.target) == ("s-a-2", "t")]
    assert (row.score, row.baseline, row.similarity, row.runs) == pytest.approx((0.65, 0.6, 0.85, 2))
    (task,) = [row for row in transfers_by(transfers) if (row.source, row.target) == ("s-a", "t")]
    assert (task.similarity, task.runs) == pytest.approx(((0.9 + 0.8 + 0.8 + 0.9) / 4, 4))


def test_the_table_marks_the_best_source_of_each_target(transfers):
    table = matrix_table(transfers)
    assert table.head == ["source", "t", "u", "average"]
    assert table.rows[0] == ["s-b", "+62.5", "+35.7", "+49.1"]
    assert table.rows[-1] == ["PT's score (%)", "60.0", "30.0", "45.0"]
    assert table.bold == {(0, 1), (0, 2), (0, 3)}


def test_a_pair_without_a_run_is_missing(transfers):
    cut = replace(transfers, trials=[t for t in transfers.trials if (t.task, t.target) != ("s-b", "u")])
    sources, _, values = matrix(cut)
    assert math.isnan(dict(zip(sources, values, strict=True))["s-b"][1])
    table = matrix_table(cut)
    assert table.rows[0] == ["s-b", "+62.5", "missing", "+62.5"] and (0, 2) not in table.bold


@pytest.mark.long
def test_the_picture_grows_with_the_sources(transfers, tmp_path):
    more = [replace(t, task=f"{t.task}-{i}") for t in transfers.trials for i in range(5)]
    draw_matrix(tmp_path / "few.png", transfers)
    draw_matrix(tmp_path / "many.png", replace(transfers, trials=more))
    few, many = (matplotlib.image.imread(tmp_path / name) for name in ("few.png", "many.png"))
    assert many.shape[0] > few.shape[0] > 300
