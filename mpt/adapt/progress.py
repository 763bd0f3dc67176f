"""How a tuning looks while it goes: an estimate first, then a bar in a terminal and a line now and then elsewhere."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mpt.backbone.device import device_words
from mpt.learn.side_by_side import SideBySide
from mpt.present.progress import Bar

_TIMED = 3
"""Steps that the estimate is made of, after a first one that is slower than all others."""

_LINES = 5
"""About so many where there is no terminal."""

_SILENT = 60.0
"""Seconds after which there is a line where there is no terminal."""


def duration(seconds: float) -> str:
    """As one says it: ``40 seconds``, ``3 minutes``, ``2.5 hours``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


class TuningProgress:
    """How long it will take, from a few timed steps; then a bar of steps with the best dev scores so far.

    Where there is no terminal it is a few lines, and more where they would be over a minute apart, with the time left.

    Args:
        terminal: where to.
        title: what goes on.
    """

    def __init__(self, terminal: Console, title: str) -> None:
        self.terminal, self.title = terminal, title
        self.next_line = 0
        self.evaluating = 0.0
        self.first = self.begun = self.changed = self.said = time.monotonic()
        self.done = self.since = 0
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}", markup=False),
            console=terminal,
            transient=True,
        )

    def __enter__(self) -> TuningProgress:
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=None, scores="")
        self.changed = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def stepped(self, side: SideBySide) -> None:
        """After a step."""
        self.done += 1
        if self.done in (1, 1 + _TIMED):
            for run in side.live[-1:]:
                float(run.loss or 0)  # a GPU is waited for, whose steps have only been asked for
            if self.done == 1:
                self.first = time.monotonic()
            elif side.max_steps > side.steps:
                self._estimate(side, (time.monotonic() - self.first) / _TIMED)
        self.bar.update(self.task, completed=side.steps, total=side.max_steps)
        self.changed = time.monotonic()
        if self.changed - self.said > _SILENT:
            self._line(side)

    def told(self, side: SideBySide) -> None:
        """After an evaluation, and at once where work goes on."""
        now = time.monotonic()
        self.evaluating, self.changed = now - self.changed, now
        if not self.done:
            self.begun, self.since = now, side.steps
        self.bar.update(self.task, completed=side.steps, total=side.max_steps, scores=_scores(side))
        if side.steps >= self.next_line or side.steps == side.max_steps:
            self._line(side)

    def _estimate(self, side: SideBySide, step: float) -> None:
        left = side.max_steps - side.steps
        evaluations = left // side.every + 1 if side.every else 0
        starts = f"{len(side.runs)} starts x " if side.runs[1:] else ""
        self.terminal.print(
            f"{self.title}: about {duration(left * step + evaluations * self.evaluating)} on "
            f"{device_words(side.rows.device)}: {starts}{left} more step{'s' if left > 1 else ''}"
        )

    def _line(self, side: SideBySide) -> None:
        self.next_line, self.said = side.steps + max(1, side.max_steps // _LINES), time.monotonic()
        if self.terminal.is_terminal:
            return
        done, left = side.steps - self.since, side.max_steps - side.steps
        until = f", about {duration((self.said - self.begun) / done * left)} left" if done and left else ""
        best = f", best {scores}" if (scores := _scores(side)) else ""
        self.terminal.print(f"{self.title}: step {side.steps} of {side.max_steps}{best}{until}")


def _scores(side: SideBySide) -> str:
    """The best so far; empty before any evaluation."""
    scores = [run.best.score for run in side.runs]
    return "" if all(map(math.isnan, scores)) else "dev " + "  ".join(f"{score:.3f}" for score in scores)
