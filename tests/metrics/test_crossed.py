"""The test of a mean over crossed samples: against mean squares by hand, scipy's t tests at the ends, simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mpt.metrics.crossed import crossed_mean, holm, mean_squares, student


def table(targets: int, draws: int, of_targets: float = 1.0, of_draws: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rest = rng.standard_normal((targets, draws))
    return of_targets * rng.standard_normal((targets, 1)) + of_draws * rng.standard_normal((1, draws)) + rest


def test_mean_squares_are_those_of_the_analysis_of_variance():
    effects = table(5, 3)
    rows, columns, mean = effects.mean(1), effects.mean(0), effects.mean()
    by_hand = [
        3 * sum((row - mean) ** 2 for row in rows) / 4,
        5 * sum((column - mean) ** 2 for column in columns) / 2,
        sum((effects[t, d] - rows[t] - columns[d] + mean) ** 2 for t in range(5) for d in range(3)) / 8,
    ]
    np.testing.assert_allclose(mean_squares(effects, 2), by_hand)


def test_mean_squares_of_three_factors_take_the_whole_sum_of_squares_apart():
    effects = np.random.default_rng(1).standard_normal((4, 3, 2))
    freedom = [3, 2, 1, 6, 3, 2, 6]
    total = ((effects - effects.mean()) ** 2).sum()
    assert (mean_squares(effects, 3) * freedom).sum() == pytest.approx(total)


@pytest.mark.parametrize("axis", [0, 1])
def test_where_one_factor_is_all_there_is_it_is_near_a_t_test_over_its_means(axis):
    scales = [0.0, 0.0]
    scales[axis] = 100.0
    effects = table(8, 5, *scales, seed=3) + 40
    found = crossed_mean(effects)
    alone = stats.ttest_1samp(effects.mean(1 - axis), 0)
    assert found.p == pytest.approx(alone.pvalue, rel=0.15)
    low, high = alone.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.1, abs=5)


def test_interval_and_p_say_the_same():
    for seed in range(20):
        found = crossed_mean(table(6, 4, seed=seed) + 1)
        assert found.low < found.mean < found.high
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_the_order_of_targets_and_draws_and_the_sign_do_not_matter():
    effects = table(6, 4) + 1
    rng = np.random.default_rng(0)
    other = crossed_mean(-effects[rng.permutation(6)][:, rng.permutation(4)])
    found = crossed_mean(effects)
    assert (other.mean, other.low, other.high, other.p) == pytest.approx(
        (-found.mean, -found.high, -found.low, found.p)
    )


def test_the_unit_does_not_matter():
    found, other = crossed_mean(table(6, 4) + 1), crossed_mean(1000 * (table(6, 4) + 1))
    assert other.p == pytest.approx(found.p) and other.se == pytest.approx(1000 * found.se)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 5), "at least 4 targets, not 3"),
        ((9, 2), "at least 3 draws, not 2"),
        ((1, 1), "at least 4 targets and 3 draws, not 1 and 1"),
        ((0, 0), "there are no scores"),
    ],
)
def test_too_small_a_study_has_no_test_and_says_why(shape, said):
    found = crossed_mean(np.random.default_rng(0).standard_normal(shape))
    assert said in found.why
    assert all(math.isnan(value) for value in (found.low, found.high, found.p))
    assert math.isnan(found.mean) == (shape == (0, 0))


def test_effects_that_do_not_vary_have_no_test():
    found = crossed_mean(np.full((5, 4), 10.0))
    assert found.mean == 10 and math.isnan(found.p) and "do not vary" in found.why


def test_effects_whose_means_are_all_the_same_have_no_test():
    """One more of a target in one draw is one less in another: the variance of the mean would be taken for zero."""
    swapped = np.array([[0.1, -0.1, 0.0], [-0.1, 0.1, 0.0], [0.1, -0.1, 0.0], [-0.1, 0.1, 0.0]])
    for effects in (swapped, swapped + 0.3, np.stack([swapped, -swapped, swapped - swapped], axis=-1)):
        found = crossed_mean(effects)
        assert math.isnan(found.p) and "same mean gain" in found.why


def test_two_upstream_seeds_that_differ_say_that_they_do_not_suffice():
    rng = np.random.default_rng(3)
    table = 3.3 + rng.normal(0, 0.3, (8, 5, 2)) + np.array([-8.0, 8.0])
    found = crossed_mean(table)
    assert math.isnan(found.low) and "2 upstream seeds that differ so much" in found.why
    assert found.mean == pytest.approx(table.mean())


def test_a_few_missing_scores_change_little_and_too_many_are_refused():
    whole = table(8, 5) + 1
    holes = whole.copy()
    holes[2, 3] = holes[6, 0] = math.nan
    found, complete = crossed_mean(holes), crossed_mean(whole)
    assert found.mean == pytest.approx(np.nanmean(holes, axis=1).mean())
    assert 0.5 < found.se / complete.se < 2
    holes[:4, 2:] = math.nan
    assert "are missing" in crossed_mean(holes).why
    few = np.random.default_rng(0).standard_normal((4, 3, 2))
    few[0, 0, 0] = few[1, 1, 1] = few[2, 2, 0] = few[3, 0, 1] = few[1, 2, 0] = few[2, 0, 1] = math.nan
    assert math.isnan(crossed_mean(few).p), "nothing is left to tell the rest's variance by"


def test_a_target_or_draw_without_any_score_is_as_if_it_were_not_there():
    effects = table(6, 4)
    padded = np.full((7, 5), math.nan)
    padded[:6, :4] = effects
    assert crossed_mean(padded) == crossed_mean(effects)


@pytest.mark.long
def test_the_mean_of_missing_upstream_seeds_is_taken_draw_by_draw():
    effects = np.random.default_rng(0).standard_normal((5, 4, 3))
    effects[0, 0, 1:] = math.nan
    nested = np.nanmean(np.nanmean(effects, axis=2), axis=1).mean()
    assert crossed_mean(effects).mean == pytest.approx(nested)


@pytest.mark.parametrize("scales", [(0, 0), (3, 0), (0, 1), (0, 3), (1, 1), (3, 3)])
@pytest.mark.parametrize("shape", [(4, 3), (8, 5)])
def test_it_errs_in_about_five_of_a_hundred_studies(scales, shape):
    """20,000 studies: a rate of 5 % is known to 0.3. The bootstrap of before was at 15 % on the small ones."""
    rng = np.random.default_rng(11)
    effects = rng.standard_normal((20_000, *shape))
    effects += scales[0] * rng.standard_normal((20_000, shape[0], 1))
    effects += scales[1] * rng.standard_normal((20_000, 1, shape[1]))
    error, freedom = student(mean_squares(effects, 2), shape)
    p = 2 * stats.t.sf(np.abs(effects.mean(axis=(1, 2))) / error, freedom)
    assert 0.035 < (p < 0.05).mean() < 0.06


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, then 0.04 x 2 = 0.08 and 0.05 x 1, which may not be below it
    assert holm([0.04, 0.01, math.nan, 0.05, 0.02]) == pytest.approx([0.08, 0.04, math.nan, 0.08, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1, 1] and holm([]) == []
