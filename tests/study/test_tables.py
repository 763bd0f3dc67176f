"""From results to tables, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from study.by_hand import one_partition, record

from mpt.study.results import Record
from mpt.study.tables import choose, gains, target_gains, target_scores


@pytest.fixture
def records() -> list[Record]:
    return one_partition()


def test_arg_is_the_mean_over_seeds_of_the_mean_over_targets(records):
    (row,) = gains(choose(records), "PT")
    # seed 13: a (.75-.5)/.5 = 50 %, b (.5-.4)/.4 = 25 %, mean 37.5; seed 21: a -25 %, b +25 %, mean 0.
    assert row.by_seed == pytest.approx({13: 37.5, 21: 0.0})
    assert row.mean == pytest.approx(18.75)
    assert row.std == pytest.approx(37.5 / math.sqrt(2))  # sample deviation of two numbers
    assert (row.method, row.targets, row.seeds) == ("MTL", 2, 2)


def test_gains_and_scores_of_a_target_are_taken_over_seeds(records):
    scores = choose(records)
    assert target_gains(scores, "PT")["MTL"]["a"] == pytest.approx((12.5, 75 / math.sqrt(2)))
    assert target_scores(scores)["PT", "b"] == pytest.approx((30.0, 20 / math.sqrt(2)))


def test_the_rate_is_chosen_on_dev_the_first_of_equals_and_test_has_no_say():
    rows = [
        record("PT", "a", 13, score=0.2, dev=0.6, rate=0.5),
        record("PT", "a", 13, score=0.9, dev=0.6, rate=0.4),
        record("PT", "a", 13, score=1.0, dev=0.5, rate=0.3),
        Record("PT/a-13-0.2", "PT", "downstream", "a", 13, 0.2),  # failed
    ]
    (chosen,) = choose(rows)
    assert (chosen.learning_rate, chosen.score, chosen.folder) == (0.5, 0.2, "PT/a-13-0.5")


def test_a_baseline_of_zero_leaves_its_target_out_of_that_seed(records):
    zero = [r if r.key != "PT/b-13-None" else record("PT", "b", 13, 0.0) for r in records]
    (row,) = gains(choose(zero), "PT")
    assert row.by_seed == pytest.approx({13: 50.0, 21: 0.0}) and row.targets == 2
    nothing = [record(m, "a", 13, s) for m, s in (("PT", 0.0), ("MTL", 0.5))]
    (row,) = gains(choose(nothing), "PT")
    assert math.isnan(row.mean) and (row.targets, row.seeds) == (0, 0)


def test_a_missing_run_leaves_its_target_out_of_that_seed(records):
    (row,) = gains(choose([r for r in records if r.key != "MTL/a-13-None"]), "PT")
    assert row.by_seed == pytest.approx({13: 25.0, 21: 0.0})
