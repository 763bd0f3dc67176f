"""Average relative gain, against numbers worked out by hand and against the paper's own."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from support.by_hand import one_partition, record
from support.paths import ROOT

from mpt.study.report.paper import stated
from mpt.study.run.results import RunRecord
from mpt.study.scores.effects import effects, mean_effect
from mpt.study.scores.gains import gains, target_gains
from mpt.study.scores.scores import Score, choose

PAPER = ROOT / "experiments/results/qin2023/scores.csv"
# The cells of table 2 that the authors' result files reproduce; in the others a file is missing or not the final one.
AGREE = {
    "qa-to-qa": ["MAML", "FoMAML", "Reptile", "MTL", "FT"],
    "nonqa-to-qa": ["FoMAML", "Reptile", "MTL"],
    "classification-to-nonclassification": ["MAML", "FoMAML", "Reptile", "MTL"],
    "both-to-nonclassification": ["MAML", "FoMAML", "Reptile", "MTL"],
    "nonclassification-to-nonclassification": ["MAML", "FoMAML", "Reptile", "MTL"],
    "nonparaphrase-to-paraphrase": ["MAML", "FoMAML", "Reptile", "MTL", "FT"],
}


@pytest.fixture
def records() -> list[RunRecord]:
    return one_partition()


def test_arg_is_the_mean_over_targets_of_the_gain_of_means_over_draws(records):
    (row,) = gains(choose(records), "PT")
    # a: PT .65, MTL .675; b: PT .3, MTL .375
    assert row.mean == pytest.approx(100 * (0.025 / 0.65 + 0.075 / 0.3) / 2)
    assert row.points == pytest.approx(5)
    assert row.points_by_draw == pytest.approx({13: 17.5, 21: -7.5})
    # what draw 13 adds less what draw 21 adds: a .45 / .65, b .05 / .3
    assert row.std == pytest.approx(100 * (0.45 / 0.65 + 0.05 / 0.3) / 2 / math.sqrt(2))
    assert (row.method, row.targets, row.draws, row.undefined) == ("MTL", 2, 2, ())


def test_gains_of_a_target_are_those_of_its_means(records):
    found = target_gains(choose(records), "PT")["MTL"]
    assert found["a"] == pytest.approx((100 * 0.025 / 0.65, 100 * 0.45 / 0.65 / math.sqrt(2)))


def test_prompt_tuning_does_not_gain_over_itself_where_its_scores_vary():
    """E[1/x] > 1/E[x]: the mean of each draw's own ratio is +14 % here."""
    pt = {13: 0.3, 21: 0.6, 42: 0.45}
    again = {13: 0.6, 21: 0.45, 42: 0.3}
    rows = [
        record(name, "a", seed, score) for name, own in (("PT", pt), ("PT-b", again)) for seed, score in own.items()
    ]
    (row,) = gains(choose(rows), "PT")
    assert row.mean == pytest.approx(0, abs=1e-9) and row.points == pytest.approx(0, abs=1e-9)
    assert np.mean([again[seed] / pt[seed] - 1 for seed in pt]) > 0.13


@pytest.mark.parametrize("zero", [0.0, -0.3])
def test_a_target_on_which_the_baseline_scores_nothing_is_left_out_of_arg_and_named(zero, records):
    rows = [r if (r.method, r.target) != ("PT", "b") else record("PT", "b", r.seed, zero) for r in records]
    (row,) = gains(choose(rows), "PT")
    assert row.mean == pytest.approx(100 * 0.025 / 0.65) and (row.targets, row.undefined) == (1, ("b",))
    assert row.points == pytest.approx((2.5 + 37.5 - 100 * zero) / 2)
    assert math.isnan(target_gains(choose(rows), "PT")["MTL"]["b"][0])
    one = [record(m, "a", 13, s) for m, s in (("PT", 0.0), ("MTL", 0.5))]
    (row,) = gains(choose(one), "PT")
    assert math.isnan(row.mean) and row.targets == 0 and row.points == pytest.approx(50)


def test_one_draw_of_zero_leaves_nothing_out(records):
    rows = [r if r.key != "PT/b-13-None" else record("PT", "b", 13, 0.0) for r in records]
    (row,) = gains(choose(rows), "PT")
    assert row.mean == pytest.approx(100 * (0.025 / 0.65 + 0.275 / 0.1) / 2) and row.targets == 2


def test_a_missing_run_leaves_its_draw_out_of_both_means(records):
    (row,) = gains(choose([r for r in records if r.key != "MTL/a-13-None"]), "PT")
    assert row.mean == pytest.approx(100 * (-0.2 / 0.8 + 0.075 / 0.3) / 2)


def test_upstream_seeds_are_a_factor_of_their_own_and_their_mean_counts(records):
    scores = choose(records)
    pt = [row for row in scores if row.method == "PT"]
    mtl = [row for row in scores if row.method == "MTL"]
    rows = [replace(row, upstream_seed=s, score=row.score + d) for row in mtl for s, d in ((7, 0.1), (8, -0.1))]
    (row,), (plain,) = gains([*pt, *rows], "PT"), gains(scores, "PT")
    assert (row.mean, row.std, row.points) == pytest.approx((plain.mean, plain.std, plain.points))
    found = effects([*pt, *rows], "PT", "MTL", "PT")
    assert found.upstream == [7, 8] and found.points.shape == (2, 2, 2)
    np.testing.assert_allclose(found.points[..., 0] - found.points[..., 1], 20)


def test_two_methods_are_paired_by_the_upstream_seeds_they_share(records):
    scores = choose(records)
    pt = [row for row in scores if row.method == "PT"]

    def learned(method: str, *seeds: int) -> list[Score]:
        return [replace(row, method=method, upstream_seed=s, score=s / 100) for row in pt for s in seeds]

    both = effects([*pt, *learned("MTL", 1, 2, 3), *learned("MAML", 2, 3, 9)], "PT", "MTL", "MAML")
    assert both.upstream == [2, 3] and np.all(both.points == 0) and both.left_out == [1, 9]
    # None in common: their means, 2 - 15 points.
    none = effects([*pt, *learned("MTL", 1, 2, 3), *learned("MAML", 10, 20)], "PT", "MTL", "MAML")
    assert none.upstream == none.left_out == [] and none.points.shape == (2, 2, 1) and np.allclose(none.points, -13)
    # What was learned once is the same in every layer.
    once = effects([*pt, *learned("MTL", 1, 2, 3), *learned("MAML", 10)], "PT", "MTL", "MAML")
    assert once.upstream == [1, 2, 3] and once.left_out == [] and np.allclose(once.points, [-9, -8, -7])


def test_an_upstream_run_for_each_draw_is_no_factor_of_its_own(records):
    rows = [replace(row, upstream_seed=row.seed if row.method == "MTL" else None) for row in choose(records)]
    assert effects(rows, "PT", "MTL", "PT").upstream == []


def test_the_difference_of_two_args_is_the_mean_of_their_effects():
    rng = np.random.default_rng(0)
    rows = [record(m, f"t{t}", s, rng.uniform(0.1, 0.9)) for m in ("PT", "A", "B") for t in range(4) for s in range(3)]
    scores = choose(rows)
    arg = {row.method: row.mean for row in gains(scores, "PT")}
    assert mean_effect(effects(scores, "PT", "A", "B").relative) == pytest.approx(arg["A"] - arg["B"])


def test_the_authors_scores_give_their_table_to_two_decimals_in_25_cells():
    rows: dict[str, list[Score]] = {}
    with PAPER.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            score = Score(row["method"], row["target"], int(row["draw"]), "", float(row["test_score"]), None, None, "")
            rows.setdefault(row["partition"], []).append(score)
    ours = {(place, row.method): row.mean for place, scores in rows.items() for row in gains(scores, "PT")}
    cells = [(place, method) for place, methods in AGREE.items() for method in methods]
    assert len(cells) == 25
    for place, method in cells:
        theirs = stated(place, method)
        assert theirs is not None and f"{ours[place, method]:.2f}" == f"{theirs.mean:.2f}", (place, method)


def test_a_baseline_with_more_upstream_seeds_counts_by_those_that_are_shared():
    def rows(method, *scores):
        own = zip((13, 21, 42), scores, strict=False)
        return [replace(one, upstream_seed=up) for up, score in own for one in choose([record(method, "a", 13, score)])]

    (row,) = gains([*rows("PT", 0.5, 0.5, 0.8), *rows("MTL", 0.6, 0.6)], "PT")
    assert (row.mean, row.points) == pytest.approx((20, 10))


def test_correlations_that_cancel_have_no_gain_over_them():
    draws = (13, 21, 42)
    scores = {("PT", "a"): (0.07, 0.28, -0.35), ("PT", "b"): (0.5, 0.5, 0.5)}
    scores |= {("MTL", "a"): (0.1, 0.1, 0.1), ("MTL", "b"): (0.6, 0.6, 0.6)}
    assert sum(scores["PT", "a"]) > 0  # as rounding has it
    rows = [record(*key, draw, score) for key, own in scores.items() for draw, score in zip(draws, own, strict=True)]
    (row,) = gains(choose(rows), "PT")
    assert row.undefined == ("a",) and row.mean == pytest.approx(20)
