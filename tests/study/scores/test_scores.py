"""From results to scores, against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.by_hand import one_partition, record, run_of

from mpt.study.scores.scores import choose, target_scores


def test_scores_of_a_target_are_taken_over_draws():
    assert target_scores(choose(one_partition()))["PT", "b"] == pytest.approx((30.0, 20 / math.sqrt(2)))


def test_upstream_seeds_of_a_draw_count_as_one_score_of_it():
    rows = [replace(row, upstream_seed=7) for row in choose(one_partition()) if row.method == "MTL"]
    rows += [replace(row, upstream_seed=8, score=row.score + 0.1) for row in rows]
    assert target_scores(rows)["MTL", "b"] == pytest.approx((42.5, 25 / math.sqrt(2)))


def test_the_rate_is_chosen_on_dev_the_first_of_equals_and_test_has_no_say():
    rows = [
        record("PT", "a", 13, score=0.2, dev=0.6, rate=0.5),
        record("PT", "a", 13, score=0.9, dev=0.6, rate=0.4),
        record("PT", "a", 13, score=1.0, dev=0.5, rate=0.3),
        run_of("PT/a-13-0.2", "PT", "downstream", "a", 13, 0.2),  # failed
    ]
    (chosen,) = choose(rows)
    assert (chosen.learning_rate, chosen.score, chosen.folder) == (0.5, 0.2, "PT/a-13-0.5")
