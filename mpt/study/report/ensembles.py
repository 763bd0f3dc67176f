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
        lines.append([method, f"{target} ({metric})", *_over_draws(own)])
    for method in dict.fromkeys(method for method, *_ in places):
        lines.append([method, "mean of the targets", *_over_draws([one for one in found if one.vote.method == method])])
    rule = frozenset({len(places)})
    return Table(["method", "target", "average", "best", "ensemble"], lines, texts=2, rules=rule)


def ensemble_rows(found: Sequence[Ensemble]) -> list[list[Any]]:
    """A row for each method, target and seed; scores are fractions."""
    return [
        [one.vote.method, one.vote.target, one.vote.seed, one.vote.metric, len(one.members), *(k(one) for k in _KINDS)]
        for one in found
    ]


def _over_draws(found: Sequence[Ensemble]) -> list[TableCell]:
    """Each kind's mean and deviation over the draws, over all of whose scores a mean is taken first."""
    draws: dict[int, list[Ensemble]] = {}
    for one in found:
        draws.setdefault(one.vote.seed, []).append(one)
    means = [[100 * statistics.fmean(map(kind, own)) for own in draws.values()] for kind in _KINDS]
    return [Measured(*mean_std(scores)) for scores in means]
