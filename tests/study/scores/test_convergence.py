"""Steps to a share of the baseline's dev score, against evaluations made up by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.by_hand import record, write_curves

from mpt.study.scores.convergence import convergence, kept, read_curve
from mpt.study.scores.scores import Score, choose
from mpt.util.errors import UserError


@pytest.fixture
def two_methods(tmp_path) -> tuple[Path, list[Score]]:
    return tmp_path, write_curves(
        tmp_path,
        {
            ("PT", "a", 13): [0.1, 0.4, 0.3, 0.5],
            ("PT", "b", 13): [0.6, 0.7, 0.8, 0.8],
            ("MTL", "a", 13): [0.45, 0.5, 0.4, 0.4],
            ("MTL", "b", 13): [0.5, 0.7, 0.7, 0.7],
        },
    )


def test_the_step_by_which_half_of_the_runs_are_at_a_share_of_what_the_baseline_ends_with(two_methods):
    found = {(row.method, row.share): row for row in convergence(*two_methods, "PT").reached}
    # goals: a 0.5, b 0.8. Half of them: 0.25 (PT at 20, MTL at 10) and 0.4 (both at 10).
    steps = {place: (row.step, row.there, row.runs) for place, row in found.items()}
    assert steps == {
        ("PT", 0.5): (10, 2, 2),
        ("PT", 0.8): (20, 2, 2),  # a: 0.40 at 20; b: 0.64 at 20
        ("PT", 0.9): (30, 2, 2),  # a: 0.45 at 40; b: 0.72 at 30
        ("PT", 1.0): (30, 2, 2),
        ("MTL", 0.5): (10, 2, 2),
        ("MTL", 0.8): (10, 2, 2),
        ("MTL", 0.9): (10, 1, 2),  # b never has 0.72, which leaves exactly half
        ("MTL", 1.0): (20, 1, 2),
    }


def test_a_share_that_most_runs_never_reach_has_no_step(tmp_path):
    scores = write_curves(tmp_path, {("PT", "a", 13): [0.9], ("MTL", "a", 13): [0.5]})
    found = {(row.method, row.share): row.step for row in convergence(tmp_path, scores, "PT").reached}
    assert found["MTL", 0.5] == 10 and found["MTL", 0.8] is found["MTL", 1.0] is None


def test_a_mean_curve_is_of_the_best_so_far_and_deviates_over_seeds(tmp_path):
    curves = {
        ("PT", "a", 13): [0.2, 0.1],
        ("PT", "b", 13): [0.4, 0.6],
        ("PT", "a", 21): [0.6, 0.8],
        ("PT", "b", 21): [0.8],  # ended early: what it kept stays
    }
    one, two = convergence(tmp_path, write_curves(tmp_path, curves), "PT").points
    assert (one.step, two.step) == (10, 20)
    assert one.mean == pytest.approx((0.3 + 0.7) / 2) and one.std == pytest.approx(0.4 / 2**0.5)
    assert two.mean == pytest.approx((0.4 + 0.8) / 2) and two.std == pytest.approx(0.4 / 2**0.5)


def test_a_curve_begins_where_all_runs_have_been_evaluated(tmp_path):
    first = write_curves(tmp_path, {("PT", "a", 13): [0.2, 0.3, 0.4]}, every=10)
    second = write_curves(tmp_path, {("PT", "b", 13): [0.5, 0.6]}, every=20)
    points = convergence(tmp_path, first + second, "PT").points
    assert [(point.step, point.mean) for point in points] == [
        (20, pytest.approx((0.3 + 0.5) / 2)),
        (30, pytest.approx((0.4 + 0.5) / 2)),
        (40, pytest.approx((0.4 + 0.6) / 2)),
    ]


def test_a_baseline_of_zero_has_no_shares(tmp_path):
    scores = write_curves(tmp_path, {("PT", "a", 13): [0.0], ("MTL", "a", 13): [0.5]})
    found = convergence(tmp_path, scores, "PT")
    assert found.reached == [] and len(found.points) == 2


def test_runs_without_evaluations_leave_nothing(tmp_path):
    found = convergence(tmp_path, choose([record("PT", "a", 13, 0.5)]), "PT")
    assert (found.points, found.reached, found.last) == ([], [], {})


def test_a_damaged_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 5, "dev/score": 0.5}\n{"step": 10, "dev/')
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2 "):
        read_curve(path)


def test_what_is_kept_never_falls():
    assert kept([(1, 0.3), (2, 0.2), (3, 0.5), (4, 0.4)]) == [(1, 0.3), (2, 0.3), (3, 0.5), (4, 0.5)]
