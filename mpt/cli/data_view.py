"""How building and verifying look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mpt.data.build.verify import Verdict
from mpt.data.build.workers import BuildOutcome
from mpt.present.progress import Bar


def watched(outcomes: Iterable[BuildOutcome], total: int, console: Console) -> Iterator[BuildOutcome]:
    """The outcomes as they come, each told in a line (but for reasons), above a bar where there is a terminal."""
    with Bar(
        SpinnerColumn(),
        TextColumn("tasks"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        bar = progress.add_task("tasks", total=total)
        for number, outcome in enumerate(outcomes, start=1):
            failed = outcome.result == "failed"
            line = f"[{number:>{len(str(total))}}/{total}] {outcome.job.task.name:<44} {outcome.result}"
            progress.console.print(line, style="red" if failed else None, markup=False)
            progress.advance(bar)
            yield outcome


def print_outcomes(console: Console, outcomes: Sequence[BuildOutcome], root: Path) -> None:
    """How many tasks were built, were there already and failed, the last with their reasons; where the files are."""
    table = Table(title="mpt data build", title_justify="left", title_style="bold")
    table.add_column("result")
    table.add_column("tasks", justify="right")
    table.add_column("files", justify="right")
    for result in ("built", "there already", "failed"):
        jobs = [outcome.job for outcome in outcomes if outcome.result == result]
        files = 0 if result == "failed" else sum(len(job.files) for job in jobs)
        table.add_row(result, str(len(jobs)), str(files))
    console.print(table)
    _print_together(console, "note", {o.job.task.name: o.note for o in outcomes if o.note}, None)
    _print_together(console, "failed", {o.job.task.name: o.reason for o in outcomes if o.result == "failed"}, "red")
    if root.is_dir():
        console.print(f"files: {root}", markup=False)


def _print_together(console: Console, word: str, told: Mapping[str, str], style: str | None) -> None:
    """What is said of several tasks, once."""
    tasks: dict[str, list[str]] = {}
    for task, text in told.items():
        tasks.setdefault(text, []).append(task)
    for text, names in tasks.items():
        if len(names) == 1:
            console.print(f"{word}: {names[0]}: {text}", style=style, markup=False)
        else:
            console.print(f"{word}: {len(names)} tasks: {text}", style=style, markup=False)
            console.print(f"  {', '.join(sorted(names))}", markup=False)


def print_verdicts(console: Console, verdicts: Sequence[Verdict], only_differing: bool) -> None:
    """Matched, differing, unknown and missing files of each task and of all; what differs, with what is known of it."""
    table = Table(title="CrossFit's published MD5 sums", title_justify="left", title_style="bold")
    table.add_column("task", no_wrap=True)
    kinds = ("matched", "differs", "unknown", "missing")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for verdict in verdicts:
        if verdict.differs or not only_differing:
            numbers = [str(len(getattr(verdict, kind))) for kind in kinds]
            table.add_row(verdict.task, *numbers, style="red" if verdict.differs else None)
    table.add_section()
    totals = (sum(len(getattr(verdict, kind)) for verdict in verdicts) for kind in kinds)
    table.add_row(f"all {len(verdicts)} tasks" if len(verdicts) > 1 else "all", *map(str, totals), style="bold")
    console.print(table)
    for verdict in verdicts:
        if verdict.changed:
            console.print(
                f"damaged or changed: {verdict.task}: {_files(verdict, verdict.changed)} (mpt data build --overwrite "
                "makes them anew)",
                markup=False,
            )
        if others := [name for name in verdict.differs if name not in verdict.changed]:
            note = f" (note on the source: {verdict.note})" if verdict.note else ""
            console.print(f"differs: {verdict.task}: {_files(verdict, others)}{note}", markup=False)


def _files(verdict: Verdict, names: Sequence[str]) -> str:
    if len(names) > 1 and len(names) == len(verdict.matched) + len(verdict.differs) + len(verdict.unknown):
        return f"all {len(names)} files"
    return ", ".join(name.removeprefix(f"{verdict.task}_").removesuffix(".tsv") for name in names)
