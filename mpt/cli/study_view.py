"""How a study looks in a terminal while it goes, and at its end."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from mpt.data.fewshot.missing import absent
from mpt.present.progress import Bar
from mpt.present.terminal import duration, print_table
from mpt.record.result import RunResult
from mpt.study.forecast import Seconds, elapsed
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.report.contents import Report
from mpt.study.report.other_tasks import elsewhere_table
from mpt.study.report.tables import arg_table, pace_table, score_table, sure_table
from mpt.study.report.varied import varied_table
from mpt.study.spec.retrieve import EMBEDDING
from mpt.study.spec.settings import Setting

_SHOW_EVERY, _TELL_EVERY = 5, 60
"""Seconds from one word about the time left to the next: in a terminal, and where there is none."""


class StudyProgress:
    """A line for every finished run, and the time left: below them in a terminal, from time to time in a log.

    Args:
        clock: tells seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.told: float | None = None
        self.seconds = Seconds()
        self.units: Sequence[Sequence[PlannedRun]] = ()
        self.left: dict[str, PlannedRun] = {}
        self.workers = 1
        self.progress = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            refresh_per_second=4,
        )
        self.total = self.width = 0

    def __enter__(self) -> StudyProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begins(self, left: Sequence[Sequence[PlannedRun]], done: Sequence[PlannedRun], workers: int) -> None:
        before = f"; {len(done)} finished before are left as they are" if done else ""
        at_once = f", {workers} at a time" if workers > 1 else ""
        if not left:
            self.console.print(f"nothing to do: all {len(done)} runs are finished")
            return
        self.units = left
        self.left = {run.key: run for unit in left for run in unit}
        self.total, self.workers = len(self.left), workers
        self.width = max(len(run.method) for run in self.left.values())
        self.console.print(f"{self.total} runs to do{at_once}{before}")
        self.seconds.add_finished(done)
        self.bar = self.progress.add_task("runs", total=self.total, left=self._time_left())
        self.progress.start()

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        self.seconds.add(run.stage, result.recipe, result.seconds)
        judged = f"test {_score(result.score)}"
        told = {"upstream": f"{result.steps} steps", "test": f"after {run.trained_on}  {judged}"}
        test = told.get(run.stage, f"dev {_score(result.dev_score)}  {judged}")
        place = f"  {run.partition}" if run.partition is not None else ""
        self._line(run, f"{test:<22}{result.seconds:6.1f} s{place}" + ("  (resumed)" if result.resumed else ""))

    def failed(self, run: PlannedRun, reason: str) -> None:
        place = f" on {run.partition}" if run.partition is not None else ""
        self._line(run, f"FAILED{place}: {reason}", style="red")

    def _line(self, run: PlannedRun, text: str, style: str | None = None) -> None:
        self.left.pop(run.key, None)
        count = self.total - len(self.left)
        rate = f" lr {run.learning_rate:g}" if run.learning_rate is not None else ""
        rate = (f" rank {run.rank}" if run.rank is not None else "") + rate
        upstream = f"up{run.upstream_seed}"
        rate = (f" {upstream}" if upstream in run.key.split("-") else "") + rate  # in the key if one of several
        what = run.target or ""
        what += f"{', ' if what else ''}upstream" if run.stage == "upstream" and run.method != EMBEDDING else ""
        number = f"[{count:>{len(str(self.total))}}/{self.total}]"
        name = f"{run.method:<{self.width}} {what:<32} seed {run.seed:<4}{rate:<9}"
        self.progress.console.print(f"{number} {name} {text}", style=style, markup=False)
        self.progress.update(self.bar, completed=count)
        pause = _SHOW_EVERY if self.console.is_terminal else _TELL_EVERY
        if self.told is not None and self.clock() - self.told < pause:
            return
        if left := self._time_left():
            self.told = self.clock()
            self.progress.update(self.bar, left=left)
            if not self.console.is_terminal:
                self.console.print(f"{number} {left}", markup=False)

    def _time_left(self) -> str:
        """``7 min left``; nothing before a run of each kind that is left has finished."""
        known = self.seconds.of_runs(self.left.values())
        if not self.left or len(known) < len(self.left):
            return ""
        return f"{duration(elapsed(self.units, known, self.workers))} left"


def print_left_out(console: Console, places: Sequence[Setting], root: str) -> None:
    """What each partition has to do without, and what came too late."""
    for setting in places:
        if sentence := setting.left_out(root):
            console.print(sentence, markup=False)
        gone = set(absent(setting.missing, root))
        if late := [task for task in setting.missing if task not in gone]:
            console.print(
                f"There by now, but the study began without them: {', '.join(late)}. Another --out takes them in.",
                markup=False,
            )


def print_outside(console: Console, outside: Mapping[int, int]) -> None:
    """What an earlier study file had done in the folder, by seed."""
    if outside:
        count, draws = sum(outside.values()), sorted(outside)
        runs, are, stay = ("run", "is", "stays") if count == 1 else ("runs", "are", "stay")
        console.print(
            f"{count} finished {runs} of draw{'s' if draws[1:] else ''} {', '.join(map(str, draws))} {are} "
            f"not in this study file and {stay} out of the report",
            markup=False,
        )


def print_report(console: Console, report: Report, folder: Path) -> None:
    """The tables, what is missing, and which files there are in the report's folder."""
    facts = report.facts
    seeds = f"mean ± deviation over {len(facts.seeds)} draws" if len(facts.seeds) > 1 else f"draw {facts.seeds[0]}"
    if facts.has_several:
        title = f"{facts.name}: average relative gain over {facts.baseline} (%), {seeds}"
        print_table(console, arg_table(report), title)
    for section in report.sections:
        name = section.setting.name if facts.has_several else facts.name
        print_table(console, score_table(facts, section), f"{name}: test scores (%), {seeds}")
        if section.varied:
            print_table(console, varied_table(section.varied), f"{name}: against {section.varied[0].option} (%)")
        if (elsewhere := elsewhere_table(report, section)) is not None:
            print_table(console, elsewhere, f"{name}: on other tasks (%), {seeds}")
        if section.gains:
            print_table(console, sure_table(report, section), f"{name}: how sure, over targets and draws")
            for why in dict.fromkeys(row.arg.why for row in section.comparisons if row.arg.why):
                console.print(f"no interval and no p: {why}", markup=False)
        if (pace := pace_table(facts, section)) is not None and not facts.has_several:
            print_table(console, pace, f"{name}: steps to a share of {facts.baseline}'s final dev score")
    if facts.is_synthetic:
        console.print("The tasks are synthetic, made by the package.")
    elif Path(facts.backbone).name == "mpt-tiny":
        console.print("mpt-tiny is not a pre-trained English model: here the numbers show only that all runs.")
    for key, reason in report.missing:
        console.print(f"missing: {key}: {reason}", style="red", markup=False)
    if report.files:
        console.print(f"report in {folder}:", markup=False)
        _print_files(console, report.files)


def _print_files(console: Console, files: Sequence[str]) -> None:
    """Their names; of those in folders, a setting each, only the folders and what is in them."""
    names = [name for name in files if "/" not in name]
    parts = [name.partition("/") for name in files if "/" in name]
    if parts:
        inside = dict.fromkeys(name for _, _, name in parts)
        names.append(f"and {', '.join(inside)} in {', '.join(dict.fromkeys(f'{folder}/' for folder, _, _ in parts))}")
    console.print(textwrap.fill(", ".join(names), 100, break_on_hyphens=False), markup=False)


def _score(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"
