"""How a tuning looks in a terminal while it goes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mpt.learn.side_by_side import SideBySide


def console() -> Console:
    """Where it is told: as wide as a table needs where nobody looks on."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=160, soft_wrap=True)


class TuningProgress:
    """A bar of steps with the best dev scores so far; where there is no terminal, a line now and then.

    Args:
        terminal: where to.
        title: what goes on.
        steps: that there are to do.
        most_lines: about so many lines where there is no terminal.
    """

    def __init__(self, terminal: Console, title: str, steps: int, most_lines: int = 5) -> None:
        self.terminal, self.title, self.steps = terminal, title, steps
        self.between = max(1, steps // most_lines)
        self.next_line = 0
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}", markup=False),
            console=terminal,
            disable=not terminal.is_terminal,
            transient=True,
        )

    def __enter__(self) -> TuningProgress:
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=self.steps, scores="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def told(self, side: SideBySide) -> None:
        """After an evaluation."""
        scores = "dev " + "  ".join(f"{run.best.score:.3f}" for run in side.runs)
        self.bar.update(self.task, completed=side.steps, scores=scores)
        if not self.terminal.is_terminal and (side.steps >= self.next_line or side.steps == self.steps):
            self.terminal.print(f"{self.title}: step {side.steps} of {self.steps}, best {scores}")
            self.next_line = side.steps + self.between
