"""Prompts alone and together, as in table 3 of Lester et al. (2021): average, best, ensemble."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from mpt.present.table import Measured, Table, TableCell
from mpt.study.scores.ensembles import Ensemble
from mpt.study.scores.scores import mean_std

READING = (
    "Prompts of one target and draw that started from different seeds: the mean of their test scores, the best of them "
    "(chosen on test, which nobody can do), and the score of what most of them answer. In percent, mean ± deviation "
    "over the draws."
)
COLUMNS = ("method", "target", "seed", "metric", "prompts", "average", "best", "ensemble")

_KINDS: tuple[Callable[[Ensemble], float], ...] = (
    lambda one: statistics.fmean(member.score for member in one.members),
    lambda one: max(member.score for member in one.members),
    lambda one: one.vote.score,
)


def ensemble_table(found: Sequence[Ensemble]) -> Table:
    """A row for each method and target, and one for the mean over targets."""
    places: dict[tuple[str, str, str], list[Ensemble]] = {}
    for one in found:
        places.setdefault((one.vote.method, one.vote.target, one.vote.metric), []).append(one)
    lines: list[list[TableCell]] = []
    for (method, target, metric), own in places.items():
        lines.append([method, f"{target} ({metric})", *(Measured(*mean_std(_scores(own, kind))) for kind in _KINDS)])
    methods = list(dict.fromkeys(method for method, *_ in places))
    for method in methods:
        seeds = sorted({one.vote.seed for one in found})
        draws = [[one for one in found if (one.vote.method, one.vote.seed) == (method, seed)] for seed in seeds]
        means = [[statistics.fmean(_scores(draw, kind)) for draw in draws if draw] for kind in _KINDS]
        lines.append([method, "mean of the targets", *(Measured(*mean_std(one)) for one in means)])
    rule = frozenset({len(places)})
    return Table(["method", "target", "average", "best", "ensemble"], lines, texts=2, rules=rule)


def ensemble_rows(found: Sequence[Ensemble]) -> list[list[Any]]:
    """A row for each method, target and seed; scores are fractions."""
    return [
        [one.vote.method, one.vote.target, one.vote.seed, one.vote.metric, len(one.members), *(k(one) for k in _KINDS)]
        for one in found
    ]


def _scores(found: Sequence[Ensemble], kind: Callable[[Ensemble], float]) -> list[float]:
    return [100 * kind(one) for one in found]
