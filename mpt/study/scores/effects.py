"""What two methods differ by on each target, draw and upstream seed: what ARG, its interval and its test stand on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpt.study.scores.scores import Score, mean_std

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """Two methods on the targets and draws that both of them, and the baseline, have a score for.

    Attributes:
        targets, draws: names of rows and columns.
        upstream: the upstream seeds that the last axis tells apart; empty where it has one entry, for neither method
            learned upstream with several seeds for the same draws.
        left_out: upstream seeds that only one of two methods has, where they are paired by those that both have.
        points: ``[T, D, U]``, score of the one minus score of the other, times 100; NaN where there is none.
        baseline: ``[T]``, mean over those draws of the baseline's score, times 100.
    """

    targets: list[str]
    draws: list[int]
    upstream: list[int]
    left_out: list[int]
    points: Array
    baseline: Array

    @property
    def is_defined(self) -> NDArray[np.bool_]:
        """``[T]``: where a relative gain is defined, see :func:`mpt.metrics.crossfit.relative_gain`."""
        return self.baseline > 1e-6  # in percent; correlations that cancel leave what rounding leaves

    @property
    def relative(self) -> Array:
        """``[T', D, U]``: the points in percent of the baseline's mean, of the targets where that is defined. Their
        mean over draws and upstream seeds is the target's relative gain over the other method in units of the
        baseline, (mean - the other's mean) / the baseline's mean; the mean of these over the targets is ARG minus the
        other's ARG (Qin et al. 2023, section 4.2).
        """
        return 100 * self.points[self.is_defined] / self.baseline[self.is_defined, None, None]


def effects(scores: Sequence[Score], baseline: str, method: str, other: str) -> Effects:
    """Pair the scores of two methods, one of which may be the baseline.

    Of a method that learned upstream with several seeds, crossed with the draws, each upstream seed is a layer of its
    own; two such methods are paired by the seeds they share, or by their means over upstream seeds where they share
    fewer than two. What was learned once, or once for each draw, is the same in every layer.
    """
    table: dict[str, dict[tuple[str, int], dict[int | None, float]]] = {}
    asked = {baseline, method, other}
    for row in (row for row in scores if row.method in asked):
        table.setdefault(row.method, {}).setdefault((row.target, row.seed), {})[row.upstream_seed] = 100 * row.score
    base, one, two = (table.get(name, {}) for name in (baseline, method, other))
    places = [place for place in one if place in two and place in base]
    targets = list(dict.fromkeys(target for target, _ in places))
    draws = sorted({draw for _, draw in places})
    crossed = [_crossed(one), _crossed(two)]
    several = [seeds for seeds in crossed if seeds]
    layers = sorted(set.intersection(*several)) if several else []
    if len(layers) < 2:
        layers = []
    is_alike = _crossed(base).issuperset(layers)  # a baseline with those seeds counts by them, as its own points do
    points = np.full((len(targets), len(draws), max(1, len(layers))), np.nan)
    below = np.full((len(targets), len(draws)), np.nan)
    for target, draw in places:
        place = targets.index(target), draws.index(draw)
        mine, theirs = one[target, draw], two[target, draw]
        points[place] = _layers(mine, layers, bool(crossed[0])) - _layers(theirs, layers, bool(crossed[1]))
        below[place] = _mean(_layers(base[target, draw], layers, is_alike), 0)
    left_out = sorted(set.union(*several) - set(layers)) if layers else []
    return Effects(targets, draws, layers, left_out, points, _mean(below, 1))


def mean_effect(values: Array) -> float:
    """Mean over the targets of ``[T, D, U]`` of the mean over the draws of the mean over the upstream seeds; NaN where
    there are none.
    """
    return float(_mean(_mean(_mean(values, 2), 1), 0))


def by_target(values: Array) -> list[tuple[float, float]]:
    """Of each target of ``[T, D, U]`` the mean, and the sample deviation over the draws."""
    return [mean_std([float(value) for value in row if not np.isnan(value)]) for row in _mean(values, 2)]


def by_draw(values: Array) -> list[float]:
    """Of each draw of ``[T, D, U]`` the mean over the targets."""
    return [float(value) for value in _mean(_mean(values, 2), 0)]


def _crossed(found: Mapping[tuple[str, int], Mapping[int | None, float]]) -> set[int]:
    """The upstream seeds of a method that has several for one draw of a target; else none."""
    if all(len(own) < 2 for own in found.values()):
        return set()
    return {seed for own in found.values() for seed in own if seed is not None}


def _layers(own: Mapping[int | None, float], layers: Sequence[int], is_crossed: bool) -> Array:
    if not layers or not is_crossed:
        return np.array([_mean(np.array(list(own.values())), 0)] * max(1, len(layers)))
    return np.array([own.get(seed, np.nan) for seed in layers])


def _mean(values: Array, axis: int) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        return np.nanmean(values, axis=axis)
