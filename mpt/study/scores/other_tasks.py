"""Scores on tasks that were not learned on: pure functions, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpt.study.run.results import RunRecord
from mpt.study.scores.scores import Score


@dataclass(frozen=True)
class ScoreElsewhere:
    """The test score, on one task, of what a method learned on another or on this one with a seed.

    Attributes:
        score: as in :class:`mpt.study.scores.scores.Score`.
        folder: the run that made it, below the study's folder.
    """

    method: str
    trained_on: str
    tested_on: str
    seed: int
    metric: str
    score: float
    folder: str


def scores_elsewhere(chosen: Sequence[Score], records: Sequence[RunRecord]) -> list[ScoreElsewhere]:
    """For each task that was learned on its own scores, then those on other tasks, of the same runs: those that were
    chosen on its dev. Nothing of a task that no run was tested elsewhere from.
    """
    tests: dict[str, dict[str, RunRecord]] = {}
    for record in records:
        if record.stage == "test" and record.result is not None and record.result.score is not None:
            tests.setdefault(record.key.removesuffix(f"-on-{record.target}"), {})[str(record.target)] = record
    rows: list[ScoreElsewhere] = []
    for task in dict.fromkeys(row.target for row in chosen if row.folder in tests):
        own = [row for row in chosen if row.target == task]
        rows += [ScoreElsewhere(r.method, task, task, r.seed, r.metric, r.score, r.folder) for r in own]
        for other in dict.fromkeys(name for row in own for name in tests.get(row.folder, ())):
            for row in own:
                found = tests.get(row.folder, {}).get(other)
                if found is not None and found.result is not None:
                    metric, score = found.result.metric or "", found.result.score or 0.0
                    rows.append(ScoreElsewhere(row.method, task, other, row.seed, metric, score, found.key))
    return rows
