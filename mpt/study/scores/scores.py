"""From the results of one partition's runs to its tables: pure functions, no files."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mpt.study.run.results import RunRecord


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


def choose(records: Sequence[RunRecord]) -> list[Score]:
    """For each method, target, seed and upstream seed the run with the best dev score (the first of equals), and its
    test score.

    The choice never sees a test score. Runs without a result are left out.
    """
    best: dict[tuple[str, str, int, int | None], Score] = {}
    for record in records:
        if record.stage != "downstream" or record.target is None or record.result is None:
            continue
        result = record.result
        if result.metric is None or result.score is None:
            continue
        row = Score(
            method=record.method,
            target=record.target,
            seed=record.seed,
            metric=result.metric,
            score=result.score,
            dev_score=result.dev_score,
            learning_rate=record.learning_rate,
            folder=record.key,
            upstream_seed=record.upstream_seed,
        )
        place = (row.method, row.target, row.seed, row.upstream_seed)
        if _dev(row) > _dev(best.setdefault(place, row)):
            best[place] = row
    return list(best.values())


def target_scores(scores: Sequence[Score]) -> dict[tuple[str, str], tuple[float, float]]:
    """(method, target) to test score in percent: mean and sample deviation over the seeds, of means over the upstream
    seeds.
    """
    groups: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in scores:
        groups.setdefault((row.method, row.target), {}).setdefault(row.seed, []).append(100 * row.score)
    return {key: mean_std([statistics.fmean(own) for own in by_seed.values()]) for key, by_seed in groups.items()}


def mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and sample standard deviation (n - 1); NaN where there are too few values."""
    mean = statistics.fmean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


def _dev(row: Score) -> float:
    return row.dev_score if row.dev_score is not None else -math.inf
