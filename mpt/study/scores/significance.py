"""Whether a method's average relative gain differs from another's by more than the choice of targets, draws and
upstream seeds. Qin et al. (2023) report a mean and a deviation and no test; what is tested is the ARG of section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpt.metrics.crossed import Estimate, crossed_mean, holm
from mpt.study.scores.effects import effects
from mpt.study.scores.scores import Score

METHOD = (
    "targets and draws, and the upstream seeds of a method that has several, are taken as samples. The mean over its "
    "standard error is referred to Student's t, with error and degrees of freedom made from the mean squares of an "
    "analysis of variance so that the test errs as often as it says whether targets differ, or draws, or both; where "
    "the gains of a few targets dwarf all others (strong skew) it errs more often."
)


@dataclass(frozen=True)
class Comparison:
    """The difference between two methods.

    Attributes:
        method: the one that is asked about.
        other: the one it is compared with; the study's baseline has an ARG of zero.
        arg: ARG of ``method`` minus ARG of ``other``, in percent, over the targets and draws that both and the baseline
            have a score for, with its 95 % interval and p.
        points: the difference of the mean scores, in points, likewise.
        p_holm: p of ``arg``, corrected for all comparisons with the same other method in a report.
        targets, draws: how many ``arg`` stands on.
        upstream: how many upstream seeds are told apart; none where upstream learning is no factor of the test.
        left_out: upstream seeds that only one of the two has, where they are compared by those that both have.
    """

    method: str
    other: str
    arg: Estimate
    points: Estimate
    p_holm: float
    targets: int
    draws: int
    upstream: int
    left_out: tuple[int, ...] = ()


def compare(scores: Sequence[Score], baseline: str, method: str, other: str) -> Comparison:
    """Compare two methods of a partition; see :func:`mpt.metrics.crossed.crossed_mean` for the test.

    Args:
        scores: one for each method, target, draw and upstream seed, as :func:`mpt.study.scores.scores.choose` gives.
    """
    found = effects(scores, baseline, method, other)
    relative = found.relative
    arg = crossed_mean(relative)
    return Comparison(
        method,
        other,
        arg,
        crossed_mean(found.points),
        arg.p,
        len(relative),
        len(found.draws),
        len(found.upstream),
        tuple(found.left_out),
    )


def corrected(rows: Sequence[Sequence[Comparison]]) -> list[list[Comparison]]:
    """The comparisons of each partition with ``p_holm`` for all of them that share their other method (Holm 1979)."""
    adjusted: dict[tuple[int, int], float] = {}
    for other in dict.fromkeys(row.other for own in rows for row in own):
        places = [(i, j) for i, own in enumerate(rows) for j, row in enumerate(own) if row.other == other]
        adjusted |= zip(places, holm([rows[i][j].arg.p for i, j in places]), strict=True)
    return [[replace(row, p_holm=adjusted[i, j]) for j, row in enumerate(own)] for i, own in enumerate(rows)]
