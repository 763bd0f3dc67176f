"""Average relative gain of every method over a baseline, from the scores of one partition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mpt.study.scores.effects import by_draw, by_target, effects, mean_effect
from mpt.study.scores.scores import Score, mean_std


@dataclass(frozen=True)
class Gain:
    """Average relative gain (ARG) of a method over the baseline.

    Attributes:
        mean: ARG in percent; NaN where no target has a gain.
        std: sample deviation (n - 1) over the draws of what each adds to it: the mean over the targets of (score - the
            baseline's score of that draw) / the baseline's mean, in percent; NaN with fewer than two draws.
        points: mean over the targets of the method's mean - the baseline's mean, in points (percent of the full score).
        points_by_draw: the same of each draw alone.
        targets: number of targets that have a relative gain.
        undefined: those that have none, for the baseline's mean is zero or less.
    """

    method: str
    mean: float
    std: float
    points: float
    points_by_draw: dict[int, float]
    targets: int
    undefined: tuple[str, ...] = ()

    @property
    def draws(self) -> int:
        """Number of draws that went into it."""
        return len(self.points_by_draw)


def gains(scores: Sequence[Score], baseline: str) -> list[Gain]:
    """ARG of every method but the baseline, by order of appearance (Qin et al. 2023, section 4.2).

    The relative gain of a target is (mean over the draws - the baseline's mean) / the baseline's mean; ARG is their
    mean over the targets. A mean of each draw's own ratio would favour whatever is compared, for the mean of 1 / x is
    above 1 / the mean of x: prompt tuning would gain over itself. A draw of a target that either has no score for is
    left out of both means.
    """
    return [_gain(scores, baseline, method) for method in _others(scores, baseline)]


def target_gains(scores: Sequence[Score], baseline: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Method to target to relative gain in percent and its sample deviation over the draws, as in :class:`Gain`; NaN
    where it is undefined. A target that the two have no draw of in common is left out.
    """
    gained: dict[str, dict[str, tuple[float, float]]] = {}
    for method in _others(scores, baseline):
        found = effects(scores, baseline, method, baseline)
        own = dict.fromkeys(found.targets, (math.nan, math.nan))
        defined = [target for target, is_defined in zip(found.targets, found.is_defined, strict=True) if is_defined]
        gained[method] = own | dict(zip(defined, by_target(found.relative), strict=True))
    return gained


def _gain(scores: Sequence[Score], baseline: str, method: str) -> Gain:
    found = effects(scores, baseline, method, baseline)
    relative = found.relative
    return Gain(
        method,
        mean=mean_effect(relative),
        std=mean_std([value for value in by_draw(relative) if not math.isnan(value)])[1],
        points=mean_effect(found.points),
        points_by_draw=dict(zip(found.draws, by_draw(found.points), strict=True)),
        targets=len(relative),
        undefined=tuple(t for t, is_defined in zip(found.targets, found.is_defined, strict=True) if not is_defined),
    )


def _others(scores: Sequence[Score], baseline: str) -> list[str]:
    return list(dict.fromkeys(row.method for row in scores if row.method != baseline))
