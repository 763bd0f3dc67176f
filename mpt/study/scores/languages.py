"""Answers in other languages along the way: every measure of every task, step by step, read from the runs' evaluations.

Vu et al. (2022, figure of quality and language over steps) look when forgetting sets in; a run tests only what was best
on dev of the task that it learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpt.record.folder import METRICS
from mpt.record.rows import read_metrics
from mpt.study.run.results import RunRecord
from mpt.study.scores.scores import Score, mean_std
from mpt.study.scores.varied import Varied, VariedScore, varied_scores


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


@dataclass(frozen=True)
class Measured:
    """A measure of a run's answers to the test examples of a task that it was asked too, in fractions."""

    run: Score
    task: str
    measure: str
    value: float


def measured(scores: Sequence[Score], records: Iterable[RunRecord]) -> list[Measured]:
    """What the runs that the scores come from measured so."""
    results = {record.key: record.result for record in records}
    rows = []
    for row in scores:
        result = results.get(row.folder)
        for name, value in (result.measures or {}).items() if result is not None else ():
            task, _, measure = name.rpartition("/")
            rows.append(Measured(row, task, measure, value))
    return rows


Place = tuple[str, str, str]
"""What is learned, what is asked, by which measure."""


def varied_measures(varied: Sequence[Varied], rows: Sequence[Measured]) -> dict[Place, list[VariedScore]]:
    """Each measure against the option that methods vary by: more rows of a prompt learn better and forget more (Vu et
    al. 2022)."""
    found: dict[Place, list[Score]] = {}
    for row in rows:
        if row.task != row.run.target:
            own = found.setdefault((row.run.target, row.task, row.measure), [])
            own.append(replace(row.run, score=row.value))
    return {place: drawn for place, own in found.items() if (drawn := varied_scores(varied, own))}


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
