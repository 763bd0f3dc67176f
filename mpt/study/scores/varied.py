"""Scores against an option that a study varies: pure functions, no files."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mpt.study.scores.scores import Score, mean_std


@dataclass(frozen=True)
class Varied:
    """A method that is one of several by the value of one option.

    Attributes:
        method: its name.
        family: the name that the study's file gives to all of them.
    """

    method: str
    family: str
    option: str
    value: float


@dataclass(frozen=True)
class VariedScore:
    """Test score in percent of a method of a family: mean over targets and seeds, deviation over the seeds of the means
    over targets.
    """

    family: str
    option: str
    value: float
    mean: float
    std: float


def varied_scores(varied: Sequence[Varied], scores: Sequence[Score]) -> list[VariedScore]:
    """A score for each method that has run on every target and seed that any of them has."""
    names = {one.method for one in varied}
    places = {(row.target, row.seed) for row in scores if row.method in names}
    rows = []
    for one in varied:
        own: dict[int, dict[str, list[float]]] = {}
        for row in scores:
            if row.method == one.method:
                own.setdefault(row.seed, {}).setdefault(row.target, []).append(100 * row.score)
        if {(target, seed) for seed, by_target in own.items() for target in by_target} != places or not places:
            continue
        means = [statistics.fmean(map(statistics.fmean, by_target.values())) for by_target in own.values()]
        rows.append(VariedScore(one.family, one.option, one.value, *mean_std(means)))
    return rows
