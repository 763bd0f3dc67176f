"""How fast prompt tuning gets somewhere from each initialisation, read from the runs' evaluations.

Qin et al. (2023) report scores after a fixed number of steps and leave this open. The measure is the dev score of the
prompt kept so far, which is what a run would yield if it ended there; a run that ended early keeps its last.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.record.folder import METRICS
from mpt.record.rows import DEV_SCORE, read_metrics
from mpt.study.scores.scores import Score, mean_std
from mpt.util.errors import UserError

SHARES = (0.5, 0.8, 0.9, 1.0)

Curve = list[tuple[int, float]]
"""(step, dev score) of each evaluation, in order."""

Place = tuple[str, int, int | None]
"""Target, seed and upstream seed of a run."""


@dataclass(frozen=True)
class Point:
    """A method at a step: mean over its targets and seeds of the dev score kept so far, and the deviation over the
    seeds of their means over targets; fractions.
    """

    method: str
    step: int
    mean: float
    std: float


@dataclass(frozen=True)
class Reached:
    """How soon a method gets to a share of the dev score of the prompt that the baseline ends with.

    Attributes:
        share: of that score, on the same target with the same seed.
        step: the first evaluated step by which at least half of the runs are there; none if they never are.
        there: number of runs that get there at all.
        runs: number of runs.
    """

    method: str
    share: float
    step: int | None
    there: int
    runs: int


@dataclass(frozen=True)
class Convergence:
    """Of one partition; empty where its runs have left no evaluations.

    Attributes:
        last: method to the last step at which any of its runs was evaluated.
    """

    points: list[Point]
    reached: list[Reached]
    last: dict[str, int]


def convergence(out: Path, scores: Sequence[Score], baseline: str) -> Convergence:
    """From the evaluations of the runs that the scores come from."""
    curves: dict[str, dict[Place, Curve]] = {}
    for row in scores:
        if curve := kept(read_curve(out / row.folder / METRICS)):
            curves.setdefault(row.method, {})[row.target, row.seed, row.upstream_seed] = curve
    ends: dict[tuple[str, int], list[float]] = {}  # several where the baseline has several upstream seeds
    for row in scores:
        if row.method == baseline and row.dev_score is not None:
            ends.setdefault((row.target, row.seed), []).append(row.dev_score)
    goals = {place: goal for place, own in ends.items() if (goal := statistics.fmean(own)) > 0}
    points = [point for method, found in curves.items() for point in mean_curve(method, found)]
    reached = [_reached(method, share, found, goals) for method, found in curves.items() for share in SHARES]
    last = {method: max(curve[-1][0] for curve in found.values()) for method, found in curves.items()}
    return Convergence(points, [row for row in reached if row.runs], last)


def read_curve(path: Path) -> Curve:
    """The dev score of each evaluation in a run's ``metrics.jsonl``; none if it has no such file."""
    curve = [(row.step, row.values[DEV_SCORE]) for row in read_metrics(path) if DEV_SCORE in row.values]
    if (wrong := next((step for step, score in curve if not math.isfinite(score)), None)) is not None:
        raise UserError(
            f"{path}: the {DEV_SCORE} of step {wrong} is not finite; delete its folder to have the run done again"
        )
    return curve


def kept(curve: Curve) -> Curve:
    """The best score so far at each step."""
    best: Curve = []
    for step, score in curve:
        best.append((step, max(score, best[-1][1]) if best else score))
    return best


def mean_curve(method: str, curves: Mapping[Place, Curve]) -> list[Point]:
    """At every step from the one by which all runs have been evaluated."""
    begin = max(curve[0][0] for curve in curves.values())
    steps = sorted({step for curve in curves.values() for step, _ in curve if step >= begin})
    points = []
    for step in steps:
        by_seed: dict[int, list[float]] = {}
        for (_, seed, _), curve in curves.items():
            by_seed.setdefault(seed, []).append(max(score for at, score in curve if at <= step))
        everything = [value for values in by_seed.values() for value in values]
        _, std = mean_std([statistics.fmean(values) for values in by_seed.values()])
        points.append(Point(method, step, statistics.fmean(everything), std))
    return points


def _reached(
    method: str, share: float, curves: Mapping[Place, Curve], goals: Mapping[tuple[str, int], float]
) -> Reached:
    never = float("inf")
    steps = [
        # Scores are stored to seven digits, so a share of one is met exactly, and others within a rounding.
        next((step for step, score in curve if score >= share * goals[target, seed] - 1e-9), never)
        for (target, seed, _), curve in curves.items()
        if (target, seed) in goals
    ]
    median = statistics.median_low(steps) if steps else never
    there = sum(step < never for step in steps)
    return Reached(method, share, int(median) if median < never else None, there, len(steps))
