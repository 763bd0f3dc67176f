"""How long runs of a study take, from the seconds that finished runs of their kind took."""

from __future__ import annotations

import csv
import heapq
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from mpt.fit.configs import config_root
from mpt.record.options import from_words
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.results import STUDY, read_study
from mpt.util.errors import UserError

Kind = tuple[str | None, ...]
"""What decides how long a run takes, as far as its command line tells: runs of one kind are taken to be alike."""

DECIDES = ("config", "model", "model.backbone", "trainer.max_steps", "trainer.val_check_interval")


def kind_of(stage: str, recipe: Sequence[str]) -> Kind:
    """The kind of a run: its stage, config, backbone and steps, not its task, seed, rate or start."""
    return (stage, *map(from_words(recipe).get, DECIDES))


def by_kind(runs: Iterable[PlannedRun]) -> dict[Kind, list[PlannedRun]]:
    """The runs of each kind, in order of appearance."""
    kinds: dict[Kind, list[PlannedRun]] = {}
    for run in runs:
        kinds.setdefault(kind_of(run.stage, run.recipe), []).append(run)
    return kinds


@cache
def shipped_seconds() -> dict[Kind, float]:
    """What runs of the shipped studies took, by kind: ``experiments/timings.csv``, by its benchmark ``timings.py``."""
    with (config_root() / "timings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {tuple(row[name] or None for name in ("stage", *DECIDES)): float(row["seconds"]) for row in rows}


class Seconds:
    """What finished runs took, by kind; of a kind of which none was counted, what shipped runs did, at this pace."""

    def __init__(self) -> None:
        self.by_kind: dict[Kind, list[float]] = {}

    def add(self, stage: str, recipe: Sequence[str], seconds: float) -> None:
        """Count a finished run."""
        if seconds > 0:
            self.by_kind.setdefault(kind_of(stage, recipe), []).append(seconds)

    def add_finished(self, runs: Iterable[PlannedRun]) -> None:
        """Count those of some runs that have a result."""
        for run in runs:
            if (result := run.files.result()) is not None:
                self.add(run.stage, result.recipe, result.seconds)

    def add_neighbours(self, out: Path) -> None:
        """Count the finished runs of the studies whose folders lie beside one; what cannot be read is passed over."""
        for path in sorted(out.parent.glob(f"*/{STUDY}")):
            if path.parent.resolve() == out.resolve():
                continue
            try:
                _, records = read_study(path.parent)
            except UserError:
                continue
            for record in records:
                if record.result is not None:
                    self.add(record.stage, record.result.recipe, record.result.seconds)

    def count(self, kind: Kind) -> int:
        """How many runs of a kind were counted."""
        return len(self.by_kind.get(kind, ()))

    def of(self, kind: Kind) -> float | None:
        """Median seconds of the runs of a kind; None where nothing is known of it."""
        if found := self.by_kind.get(kind):
            return statistics.median(found)
        shipped = shipped_seconds().get(kind)
        return None if shipped is None else shipped * (self.pace or 1.0)

    @property
    def pace(self) -> float | None:
        """How many times as long runs take here as shipped ones of their kinds; None where none can be compared."""
        shipped = shipped_seconds()
        paces = [statistics.median(own) / shipped[kind] for kind, own in self.by_kind.items() if kind in shipped]
        return statistics.median(paces) if paces else None

    def of_runs(self, runs: Iterable[PlannedRun]) -> dict[str, float]:
        """What each run takes, by key; those of a kind of which nothing is known are not there."""
        known = ((self.of(kind), own) for kind, own in by_kind(runs).items())
        return {run.key: seconds for seconds, own in known if seconds is not None for run in own}


def elapsed(units: Sequence[Sequence[PlannedRun]], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds from start to end, if each unit goes to the worker that is free first, upstream runs before others.

    Args:
        units: runs that one worker does together; a run's seconds are its share of them.
        seconds: of each run, by key; 0 where a key is not there.
        workers: processes at work at once.
    """
    free = [0.0] * max(1, workers)
    ends: dict[str, float] = {}
    for unit in sorted(units, key=lambda unit: unit[0].stage != "upstream"):
        begin = max([heapq.heappop(free), *(ends.get(key, 0.0) for run in unit for key in run.needs)])
        end = begin + sum(seconds.get(run.key, 0.0) for run in unit)
        ends |= {run.key: end for run in unit}
        heapq.heappush(free, end)
    return max(ends.values(), default=0.0)
