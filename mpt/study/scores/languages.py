"""Answers in other languages along the way: every measure of every task, step by step, read from the runs' evaluations.

Vu et al. (2022, figure of quality and language over steps) look when forgetting sets in; a run tests only what was best
on dev of the task that it learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.record.folder import METRICS
from mpt.record.rows import read_metrics
from mpt.study.scores.scores import Score, mean_std


@dataclass(frozen=True)
class LanguagePoint:
    """A measure of a method's answers to the dev examples of a task that it does not learn, after a step: mean and
    deviation over its runs; fractions.

    Attributes:
        target: what is learned.
        task: what is asked.
        measure: such as ``SP-ROUGE``, ``LID_th``, ``ASCII``.
    """

    method: str
    target: str
    task: str
    measure: str
    step: int
    mean: float
    std: float


def language_points(out: Path, scores: Sequence[Score]) -> list[LanguagePoint]:
    """From the evaluations of the runs that the scores come from: at each step that all runs of a method have."""
    found: dict[tuple[str, str, str, str], list[dict[int, float]]] = {}
    for row in scores:
        curves: dict[tuple[str, str], dict[int, float]] = {}
        for evaluation in read_metrics(out / row.folder / METRICS):
            for name, value in evaluation.values.items():
                split, _, rest = name.partition("/")
                task, _, measure = rest.rpartition("/")
                if split == "dev" and task and task != row.target:
                    curves.setdefault((task, measure), {})[evaluation.step] = value
        for (task, measure), curve in curves.items():
            found.setdefault((row.method, row.target, task, measure), []).append(curve)
    return [
        LanguagePoint(*place, step, *mean_std([curve[step] for curve in curves]))
        for place, curves in found.items()
        for step in sorted(set.intersection(*map(set, curves)))
    ]
