"""From the results of one partition's runs to its tables: pure functions, no files."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mpt.metrics import average_relative_gain, relative_gain
from mpt.study.results import Record


@dataclass(frozen=True)
class Score:
    """The one test score of a method on a target with a seed: that of the learning rate that was best on dev. A method
    with several upstream seeds has one from each.

    Attributes:
        score: test score in [0, 1], or in [-1, 1] for a correlation.
        learning_rate: the chosen rate; none if there was no choice.
        folder: the chosen run, below the study's folder.
        upstream_seed: of the upstream run whose prompt it starts from; none where the method has no such stage, or the
            folder is from before it was told.
    """

    method: str
    target: str
    seed: int
    metric: str
    score: float
    dev_score: float | None
    learning_rate: float | None
    folder: str
    upstream_seed: int | None = None


@dataclass(frozen=True)
class Gain:
    """Average relative gain of a method over the baseline.

    Attributes:
        mean: mean over the seeds of the seeds' ARG, in percent; NaN where no seed has any.
        std: their sample standard deviation (n - 1), in percent; NaN with fewer than two.
        targets: number of targets that went into it.
        seeds: number of seeds that went into it.
        by_seed: ARG of each seed, in percent.
    """

    method: str
    mean: float
    std: float
    targets: int
    seeds: int
    by_seed: dict[int, float]


def choose(records: Sequence[Record]) -> list[Score]:
    """For each method, target, seed and upstream seed the run with the best dev score (the first of equals), and
    its test score.

    The choice never sees a test score. Runs without a result are left out.
    """
    best: dict[tuple[str, str, int, int | None], Score] = {}
    for record in records:
        if record.stage != "downstream" or record.target is None or record.result is None:
            continue
        result = record.result
        row = Score(
            method=record.method,
            target=record.target,
            seed=record.seed,
            metric=result["metric"],
            score=result["score"],
            dev_score=result["dev_score"],
            learning_rate=record.learning_rate,
            folder=record.key,
            upstream_seed=record.upstream_seed,
        )
        place = (row.method, row.target, row.seed, row.upstream_seed)
        if _dev(row) > _dev(best.setdefault(place, row)):
            best[place] = row
    return list(best.values())


def gains(scores: Sequence[Score], baseline: str) -> list[Gain]:
    """ARG of every method but the baseline, by order of appearance.

    For each seed: the mean over the targets of the relative gain over the baseline *of the same seed* (Qin
    et al. 2023, section 4.2; targets on which the baseline scores zero or less are left out, see
    :func:`mpt.metrics.average_relative_gain`). Then mean and sample deviation over the seeds. A target that
    one of the two has no score for is left out of that seed.
    """
    table = _by_method(scores)
    base = table.get(baseline, {})
    rows = []
    for method, own in table.items():
        if method == baseline:
            continue
        by_seed: dict[int, float] = {}
        used: set[str] = set()
        for seed in sorted({seed for _, seed in own}):
            both = [target for target, s in own if s == seed and (target, seed) in base]
            defined = [target for target in both if base[target, seed] > 0]
            if defined:
                arg = average_relative_gain(
                    {target: own[target, seed] for target in both},
                    {target: base[target, seed] for target in both},
                )
                by_seed[seed] = 100 * arg
                used.update(defined)
        mean, std = mean_std(list(by_seed.values()))
        rows.append(Gain(method, mean, std, len(used), len(by_seed), by_seed))
    return rows


def target_gains(scores: Sequence[Score], baseline: str) -> dict[str, dict[str, tuple[float, float]]]:
    """Method to target to relative gain in percent: mean and sample deviation over the seeds where it is
    defined.
    """
    table = _by_method(scores)
    base = table.get(baseline, {})
    gained: dict[str, dict[str, tuple[float, float]]] = {}
    for method, own in table.items():
        if method == baseline:
            continue
        gained[method] = {}
        for target in dict.fromkeys(target for target, _ in own):
            pairs = [(score, base[t, s]) for (t, s), score in own.items() if t == target and (t, s) in base]
            values = [100 * relative_gain(score, other) for score, other in pairs if other > 0]
            gained[method][target] = mean_std(values)
    return gained


def target_scores(scores: Sequence[Score]) -> dict[tuple[str, str], tuple[float, float]]:
    """(method, target) to test score in percent: mean and sample deviation over the seeds."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in scores:
        groups.setdefault((row.method, row.target), []).append(100 * row.score)
    return {key: mean_std(values) for key, values in groups.items()}


def without_baseline(scores: Sequence[Score], baseline: str) -> list[tuple[str, int]]:
    """(target, seed) where the baseline scores zero or less, so that no relative gain is defined."""
    return [(row.target, row.seed) for row in scores if row.method == baseline and row.score <= 0]


def mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and sample standard deviation (n - 1); NaN where there are too few values."""
    mean = statistics.fmean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


def _dev(row: Score) -> float:
    return row.dev_score if row.dev_score is not None else -math.inf


def _by_method(scores: Sequence[Score]) -> dict[str, dict[tuple[str, int], float]]:
    table: dict[str, dict[tuple[str, int], float]] = {}
    for row in scores:
        table.setdefault(row.method, {})[row.target, row.seed] = row.score
    return table
