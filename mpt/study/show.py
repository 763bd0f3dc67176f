"""How a study looks in a terminal while it goes, and at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mpt.study.plan import Cell
from mpt.study.report import FIGURE, FOLDER, TEXT, Report, table


def console() -> Console:
    """Where a study is told: as wide as a table needs where nobody looks on."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=160, soft_wrap=True)


class Live:
    """A line for every finished run, and below them a bar where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=4,
        )
        self.count = 0
        self.total = 0

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begins(self, todo: int, done: int, workers: int) -> None:
        before = f"; {done} finished before are left as they are" if done else ""
        at_once = f", {workers} at a time" if workers > 1 else ""
        self.console.print(
            f"{todo} runs to do{at_once}{before}" if todo else f"nothing to do: all {done} runs are finished"
        )
        if todo:
            self.total = todo
            self.bar = self.progress.add_task("runs", total=todo)
            self.progress.start()

    def finished(self, cell: Cell, result: dict[str, Any]) -> None:
        test = (
            f"dev {_score(result['dev_score'])}  test {_score(result['score'])}"
            if cell.target
            else f"{result['steps']} steps"
        )
        self._line(cell, f"{test:<22}{result['seconds']:6.1f} s" + ("  (resumed)" if result["resumed"] else ""))

    def failed(self, cell: Cell, reason: str) -> None:
        self._line(cell, f"FAILED: {reason}", style="red")

    def _line(self, cell: Cell, text: str, style: str | None = None) -> None:
        self.count += 1
        rate = f" lr {cell.learning_rate:g}" if cell.learning_rate is not None else ""
        number = f"[{self.count:>{len(str(self.total))}}/{self.total}]"
        name = f"{cell.method:<8} {cell.target or 'upstream':<32} seed {cell.seed:<4}{rate:<9}"
        self.progress.console.print(f"{number} {name} {text}", style=style, markup=False)
        self.progress.advance(self.bar)


def print_report(console: Console, report: Report, out: Path) -> None:
    """The table, what is missing, and where everything is."""
    facts = report.facts
    head, rows = table(report)
    seeds = f"mean ± deviation over {len(facts.seeds)} seeds" if len(facts.seeds) > 1 else f"seed {facts.seeds[0]}"
    shown = Table(title=f"{facts.name}: test scores (%), {seeds}", title_justify="left", title_style="bold")
    for i, name in enumerate(head):
        shown.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for row in rows[:-1]:
        shown.add_row(*row)
    shown.add_section()
    shown.add_row(*rows[-1], style="bold")
    console.print()
    console.print(shown)
    if facts.root == "synthetic":
        console.print("The tasks are synthetic, made by the package.")
    for key, reason in report.missing:
        console.print(f"missing: {key}: {reason}", style="red", markup=False)
    console.print(f"report: {out / FOLDER / TEXT}", markup=False)
    if (out / FOLDER / FIGURE).is_file():
        console.print(f"figure: {out / FOLDER / FIGURE}", markup=False)


def _score(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"
