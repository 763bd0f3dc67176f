"""How counted work looks while it goes: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mpt.present.terminal import duration

_SILENT = 60.0
"""Seconds after which there is a line where there is no terminal."""


class Bar(Progress):
    """A bar where there is a terminal. What else goes to one meanwhile stands above it; rich would put there what goes
    into a file, too.
    """

    def __init__(self, *columns: ProgressColumn, console: Console, **options: Any) -> None:
        above: dict[str, Any] = {f"redirect_{name}": _is_terminal(getattr(sys, name)) for name in ("stdout", "stderr")}
        super().__init__(*columns, console=console, disable=not console.is_terminal, **above, **options)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is none, somebody's own, or it is closed
        return False


class CountProgress:
    """Things that are done, and the time left.

    Args:
        terminal: where to.
        things: what is counted, such as ``rows``.
        total: how many there are, where it is known before the work begins.
        where: ends a line, such as ``on this CPU``.
    """

    def __init__(self, terminal: Console, things: str, total: int | None = None, where: str = "") -> None:
        self.terminal, self.things, self.where = terminal, things, where
        self.begun = self.said = time.monotonic()
        self.since: int | None = None
        self.bar = Bar(
            TextColumn(things),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=terminal,
            transient=True,
        )
        self.task = self.bar.add_task(things, total=total)
        self.total = total

    def __enter__(self) -> CountProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def told(self, done: int, total: int | None = None) -> None:
        """After a part: so many are done, perhaps of so many."""
        now, self.total = time.monotonic(), total or self.total
        self.bar.update(self.task, completed=done, total=self.total)
        if self.since is None:  # after the first part, which may have begun in the middle
            self.since, self.begun = done, now
            return
        if self.terminal.is_terminal or self.total is None or not self.since < done < self.total:
            return
        if now - self.said > _SILENT:
            self.said = now
            left = duration((now - self.begun) / (done - self.since) * (self.total - done))
            self.terminal.print(f"{done:,} of {self.total:,} {self.things}, about {left} left{self.where}")
