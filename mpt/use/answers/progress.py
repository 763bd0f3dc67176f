"""How an answering looks while it goes: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mpt.present.terminal import duration
from mpt.use.answers.predict_file import Predicted

_SILENT = 60.0
"""Seconds after which there is a line where there is no terminal."""


class RowProgress:
    """Rows that are answered, and the time left.

    Args:
        terminal: where to.
        rows: of the file.
        device: in words.
    """

    def __init__(self, terminal: Console, rows: int, device: str) -> None:
        self.terminal, self.rows, self.device = terminal, rows, device
        self.begun = self.said = time.monotonic()
        self.since: int | None = None
        self.bar = Progress(
            TextColumn("rows"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=terminal,
            disable=not terminal.is_terminal,
            transient=True,
        )

    def __enter__(self) -> RowProgress:
        self.bar.start()
        self.task = self.bar.add_task("rows", total=self.rows)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def told(self, done: Predicted) -> None:
        """After a part."""
        now = time.monotonic()
        if self.since is None:  # after the first part, which may have begun in the middle
            self.since, self.begun = done.rows, now
            self.bar.update(self.task, completed=done.rows)
            return
        each = (now - self.begun) / (done.rows - self.since)
        self.bar.update(self.task, completed=done.rows)
        if self.terminal.is_terminal or done.rows >= self.rows:
            return
        if self.said == self.begun or now - self.said > _SILENT:
            self.said = now
            left = duration(each * (self.rows - done.rows))
            self.terminal.print(f"{done.rows:,} of {self.rows:,} rows, about {left} left on {self.device}")
