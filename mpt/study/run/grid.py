"""Doing a study: every run once, upstream before downstream, whatever was done before left as it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from mpt.record.folder import RESULT
from mpt.record.result import RunResult, read_result
from mpt.study.plan.grouping import are_small, units_left
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.claims import Failures, claim, failures, settled
from mpt.study.run.packs import PackFiles, begun, clear_packs
from mpt.study.run.pool import ProcessPool
from mpt.study.run.results import is_finished
from mpt.util.errors import UserError

Unit = tuple[PlannedRun, ...]
LOOK_EVERY = 0.5
"""Seconds after which a run of another process is looked at again."""


class Watcher(Protocol):
    """What is called as a study goes on, such as a progress display."""

    def begins(self, left: Sequence[Unit], done: Sequence[PlannedRun], workers: int) -> None:
        """Called once at the start, with the runs that are left, by unit, and those finished before."""

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """A run has a result."""

    def failed(self, run: PlannedRun, reason: str) -> None:
        """Called when a run failed, with the reason."""


class Workers(Protocol):
    """A pool of workers that do the runs: :class:`mpt.study.run.pool.ProcessPool` or its like.

    Attributes:
        workers: each with ``unit``, the runs it is at, ``idle``, ``send(word, content)`` and ``death_reason()``.
        retries: how often a run is done again whose worker died over it.
    """

    workers: list[Any]
    retries: int

    def receive(self, seconds: float | None = None) -> Sequence[tuple[Any, tuple[str, Any] | None]]:
        """Wait, at most so many seconds, until some worker says something or dies (None), and what."""

    def check(self, runs: Sequence[PlannedRun]) -> str | None:
        """Have the options of some runs parsed: what is wrong with them."""

    def replace(self, worker: Any) -> Any:
        """A new worker in the place of a dead one."""

    def close(self, patient: bool) -> None:
        """End all workers."""


def unfinished(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs that have no result yet."""
    return [run for run in runs if not is_finished(run)]


def only(packed: Sequence[Unit], keys: Collection[str]) -> list[Unit]:
    """Units without the runs that are not among some: those that go along in a pack that has begun."""
    return [tuple(run for run in unit if run.key in keys) for unit in packed]


def run_all(
    runs: Sequence[PlannedRun],
    workers: int,
    watcher: Watcher,
    make_workers: Callable[[int, Failures, int | None], Workers] = ProcessPool,
    side_by_side: int = 1,
) -> list[PlannedRun]:
    """Do all unfinished runs and return those that failed.

    A run starts as soon as what it needs is finished; upstream runs, which others wait for, go first. One
    that fails takes only those that need it with it. What another process is doing is left to it and waited for.

    Args:
        make_workers: makes the workers of their number, the failures that do not count and the most threads of each.
        side_by_side: most downstream runs that a worker trains as one batch; the runs are the whole plan then.

    Raises:
        UserError: options that do not fit their config, before any run; a result of another configuration.
    """
    left, past = unfinished(runs), failures(runs)
    workers = min(workers, len(left))
    todo = {run.key for run in left}
    for run in runs:
        if run.key not in todo:
            run.files.tidy()
    packed = units_left(runs, side_by_side, todo, begun(runs))
    watcher.begins(only(packed, todo), [run for run in runs if run.key not in todo], workers)
    if not left:
        return []
    pool = make_workers(workers, past, 1 if are_small(runs) else None)
    clean = False
    try:
        _check(pool, left)
        lost = _Grid(runs, packed, todo, past, watcher).run(pool)
        clean = True
    finally:
        pool.close(patient=clean)
    clear_packs(runs)
    return lost


def _check(pool: Workers, left: Sequence[PlannedRun]) -> None:
    """Have one run of each kind parsed: a wrong option should be known now, not after the upstream runs."""
    kinds: dict[tuple[str, str, str | None], PlannedRun] = {}
    for run in left:
        kinds.setdefault((run.method, run.stage, run.partition), run)
    if wrong := pool.check(list(kinds.values())):
        raise UserError(wrong)


class _Grid:
    """What is finished, running and left.

    Other processes may be at work on the same runs. A unit that one of them has claimed stays among those left, and is
    looked at again from time to time: the other may finish it, or end before.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        left: Sequence[Unit],
        todo: set[str],
        past: Failures,
        watcher: Watcher,
    ) -> None:
        # Stable: a run comes after those that it needs.
        self.left = dict.fromkeys(sorted(left, key=lambda unit: unit[0].stage != "upstream"))
        self.elsewhere: dict[Unit, float] = {}  # when to look again
        self.deaths: Counter[Unit] = Counter()
        self.finished = {run.key for run in runs} - todo
        self.lost: dict[str, PlannedRun] = {}
        self.past = past
        self.watcher = watcher

    def run(self, pool: Workers) -> list[PlannedRun]:
        while True:
            for worker in pool.workers:
                if worker.idle:
                    self.give(worker)
            if not self.left and not any(worker.unit for worker in pool.workers):
                return list(self.lost.values())
            for worker, message in pool.receive(LOOK_EVERY if self.elsewhere else None):
                unit, worker.unit = worker.unit, ()
                if message is not None:
                    self.hear(unit, message[1])
                else:
                    self.worker_died(unit, worker.death_reason(), pool.retries)
                    pool.replace(worker)
            for unit in list(self.elsewhere):
                self.settle(unit)

    def give(self, worker: Any) -> None:
        """The first unit that can start now, if any."""
        for unit in list(self.left):
            if self.elsewhere.get(unit, 0) > time.monotonic() or unit not in self.left:
                continue
            if all(self.finished.issuperset(run.needs) for run in unit) and not self.settle(unit):
                del self.left[unit]
                self.elsewhere.pop(unit, None)
                worker.send("run", unit)
                return

    def hear(self, unit: Unit, ended: Mapping[str, str]) -> None:
        """What a worker says about the runs of its unit."""
        for run in unit:
            if ended[run.key] != "elsewhere":
                self.take(run, ended[run.key])
        if "elsewhere" in ended.values() and not self.settle(unit):
            self.later(unit)

    def worker_died(self, unit: Unit, reason: str, retries: int) -> None:
        """A worker died over a unit."""
        self.deaths[unit] += 1
        with claim(unit) as held:  # another process may have taken it over already
            if held and self.deaths[unit] > retries:
                if len(unit) > 1:  # perhaps one of them is at fault, or all together take too much memory
                    PackFiles(unit).clear()
                    self.left = {**dict.fromkeys((run,) for run in unit), **self.left}
                    return
                for run in unit:
                    if settled(run, self.past) is None:
                        run.files.fail(reason, run.arguments)
        if unit and not self.settle(unit):
            self.later(unit)

    def later(self, unit: Unit) -> None:
        self.left = {unit: None, **self.left}  # its turn had come
        self.elsewhere[unit] = time.monotonic() + LOOK_EVERY

    def settle(self, unit: Unit) -> bool:
        """Whether all of a unit is done with, be it by another process; then it is left no more."""
        states = {run: settled(run, self.past) for run in unit}
        if None in states.values():
            return False
        self.elsewhere.pop(unit, None)
        self.left.pop(unit, None)
        for run, state in states.items():
            self.take(run, state)
        return True

    def take(self, run: PlannedRun, state: str | None) -> None:
        """A run has ended, once."""
        if run.key in self.finished or run.key in self.lost:
            return
        if state == "finished":
            self.finished.add(run.key)
            self.watcher.finished(run, read_result(run.folder / RESULT))
        else:
            failure = run.files.failure()
            self.lose(run, failure.reason if failure is not None else "it does not say why")

    def lose(self, run: PlannedRun, reason: str) -> None:
        """A run has failed, and with it all that needs it, which comes behind it."""
        self._tell(run, reason)
        left: dict[Unit, None] = {}
        for whole in self.left:
            unit = tuple(other for other in whole if not self.lost.keys().isdisjoint(other.needs))
            if rest := tuple(other for other in whole if other not in unit):
                left[rest] = None
            if not unit:
                continue
            self.elsewhere.pop(whole, None)
            with claim(unit) as held:
                for other in unit:
                    needed = next(key for key in other.needs if key in self.lost)
                    why = f"not started: it needs {needed}, which failed"
                    if held and settled(other, self.past) is None:
                        other.files.fail(why, other.arguments)
                    self._tell(other, why)
        self.left = left

    def _tell(self, run: PlannedRun, reason: str) -> None:
        self.lost[run.key] = run
        self.watcher.failed(run, reason)
