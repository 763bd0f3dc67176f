"""``mpt study plan``: what a study is made of before it is run, and each of its runs as a shell command."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mpt.cli.study_view import print_left_out
from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.fewshot.missing import absent, what_to_do
from mpt.metrics.fewest import too_few
from mpt.present.terminal import console, duration
from mpt.study.forecast import Seconds, by_kind, elapsed
from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import default_size, units_left
from mpt.study.plan.other_tasks import other_tasks
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.plan.reach import tell_reach
from mpt.study.run.grid import only, unfinished
from mpt.study.run.packs import begun
from mpt.study.run.results import begun_with, refuse_strange, several_upstream
from mpt.study.spec.settings import Setting, learned_on, settings
from mpt.study.spec.study import Study
from mpt.util.machine import default_workers
from mpt.util.yaml_file import is_yaml


def show_plan(study: Study, options: argparse.Namespace) -> None:
    """Print the plan of a study, or with ``--commands`` a command for each run that is left. Nothing is written.

    Raises:
        UserError: what ``mpt study run`` would refuse; without ``--commands``, missing data are told and not refused.
    """
    out = options.out or Path("runs") / study.name
    refuse_strange(out)
    if options.commands:
        for line in commands(study, out, options.file, options.root, options.backbone):
            print(line)
        return
    terminal = console()
    places, missing = _places(study, out)
    runs = plan(study, out, places, missing)
    left = [run for run in runs if not _is_finished(run)]
    names = f" on {', '.join(setting.name for setting in places)}" if study.has_several else ""
    done = f", {len(runs) - len(left):,} of them finished" if len(left) < len(runs) else ""
    terminal.print(f"study {study.name} in {out}: {len(runs):,} runs{done}{names}", markup=False)
    print_left_out(terminal, [setting for setting in places if setting.missing or setting.held_out], study.root)
    terminal.print(_table(study, runs, left))
    terminal.print(_order(runs), markup=False)
    if changed := [run.key for run in left if run.fingerprint and run.files.is_finished]:
        some = f"{', '.join(changed[:3])}{' and others' if len(changed) > 3 else ''}"
        terminal.print(
            f"{len(changed)} finished runs are not those of today's study file, data or backbone ({some}): mpt study "
            "run will refuse; give another --out, or delete their folders.",
            style="red",
        )
    if missing:
        _tell_missing(terminal, study, places, missing)
    if len(study.methods) > 1:
        for setting in places:
            if why := too_few([len(setting.targets), len(study.seeds)]):
                of = f" of {setting.name}" if places[1:] else ""
                terminal.print(f"The report{of} will have no interval and no p: {why}.", markup=False)
    for sentence in tell_reach(runs, study.root):
        terminal.print(sentence, markup=False)
    if left:
        terminal.print("mpt study run checks the other options, by what mpt fit takes, before its first run.")
        _tell_time(terminal, study, runs, left, options.workers)


def commands(study: Study, out: Path, file: str, root: str | None = None, backbone: str | None = None) -> Iterator[str]:
    """A shell command for each unfinished run, in an order in which each comes after those that it needs.

    Each is ``mpt study run … --only KEY``, which trains that run alone and leaves the files that the study itself
    would; a comment says which runs it needs. (Where the study trains several side by side, their sums are rounded
    otherwise: :mod:`mpt.learn.side_by_side`.)

    Args:
        file: the study as the user named it.
        root, backbone: as the user gave them.
    """
    runs = plan(study, out, settings(study, begun_with(study, out)))
    words = ["mpt", "study", "run", file, "--out", str(out)]
    for option, value in (("--root", root), ("--backbone", backbone)):
        words += [option, value] if value is not None else []
    # Last, since it takes all words that follow; --only ends it.
    words += ["--settings", *study.only] if study.only else []
    left = unfinished(runs)
    todo = {run.key for run in left}
    for run in sorted(left, key=lambda run: run.stage != "upstream"):  # stable
        needs = [key for key in run.needs if key in todo]
        yield shlex.join([*words, "--only", run.key]) + (f"  # needs {' '.join(needs)}" if needs else "")


def _places(study: Study, out: Path) -> tuple[list[Setting], list[str]]:
    """The settings, and those of their tasks that are not under the root and are not left out."""
    there = study.root == SYNTHETIC or Path(study.root).is_dir()
    if there and study.missing == "skip":
        return settings(study, begun_with(study, out)), []
    places = settings(study, strict=False)
    tasks = [
        task
        for setting in places
        for task in (*learned_on(study, setting), *setting.targets, *other_tasks(study, setting.targets))
    ]
    named = dict.fromkeys(map(study.reference, tasks))
    return places, absent(named, study.root) if there else [task for task in named if not is_yaml(task)]


def _is_finished(run: PlannedRun) -> bool:
    result = run.files.result()
    return bool(run.fingerprint) and result is not None and result.fingerprint == run.fingerprint


def _table(study: Study, runs: Sequence[PlannedRun], left: Sequence[PlannedRun]) -> Table:
    """A row for each method, stage and setting."""
    groups: dict[tuple[str, str, str], list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault((run.method, run.stage, run.partition or "shared"), []).append(run)
    todo = {run.key for run in left}
    shown = Table()
    heads = ["method", "stage", *(["setting"] if study.has_several else []), "runs", "", "finished", "waits for"]
    for head in heads:
        shown.add_column(head, justify="right" if head in ("runs", "finished") else "left", no_wrap=True)
    order = {method.name: number for number, method in enumerate(study.methods)}
    for (method, stage, setting), own in sorted(groups.items(), key=lambda item: order.get(item[0][0], -1)):
        needs = {key for run in own for key in run.needs}
        shown.add_row(
            method,
            stage,
            *([setting] if study.has_several else []),
            f"{len(own):,}",
            _grid(own),
            f"{sum(run.key not in todo for run in own):,}",
            _count(len(needs), f"{'downstream' if stage == 'test' else 'upstream'} run") if needs else "",
        )
    return shown


def _grid(runs: Sequence[PlannedRun]) -> str:
    """``10 targets × 5 seeds × 3 upstream seeds × 4 rates``."""
    targets = {run.target for run in runs if run.target is not None}
    starts = {run.upstream_seed for run in runs} if several_upstream(runs) else set()
    rates = {run.learning_rate for run in runs if run.learning_rate is not None}
    parts = [_count(len(targets), "target")] if targets else []
    parts.append(_count(len({run.seed for run in runs}), "seed"))
    parts += [_count(len(starts), "upstream seed")] if starts else []
    parts += [_count(len(rates), "rate")] if rates else []
    members = {run.options["seed_everything"] - run.seed for run in runs}
    parts += [_count(len(members), "prompt")] if len(members) > 1 else []
    ranks = {run.rank for run in runs if run.rank is not None}
    parts += [_count(len(ranks), "prompt")] if ranks else []
    return " × ".join(parts)


def _order(runs: Sequence[PlannedRun]) -> str:
    upstream = sum(run.stage == "upstream" for run in runs)
    late = sum(run.stage == "upstream" and bool(run.needs) for run in runs)
    tests = sum(run.stage == "test" for run in runs)
    waiting = sum(bool(run.needs) for run in runs) - late - tests
    free = len(runs) - upstream - waiting - tests
    tested = f"{_count(tests, 'test')} on other tasks come after the runs whose prompts or models they take."
    if not upstream:
        return tested if tests else "No run waits for another."
    after = f", {late:,} of them after others" if late else ""
    return (
        f"{_count(upstream, 'upstream run')} first{after}; {_count(waiting, 'downstream run')} wait for one of them "
        f"each, {free:,} for none." + (f" {tested}" if tests else "")
    )


def _tell_missing(terminal: Console, study: Study, places: Sequence[Setting], missing: Sequence[str]) -> None:
    given = places[0].given if len(study.partitions) == 1 else None
    some = ", ".join(missing[:12]) + (f" and {len(missing) - 12} more" if len(missing) > 12 else "")
    if study.root == SYNTHETIC or Path(study.root).is_dir():
        end = what_to_do(missing, study.root, given, "missing: skip")
        if len(missing) > 12 and given is None:
            end = (
                f"Build them (mpt data build --partition NAME --root {study.root}), or leave them out by missing: skip."
            )
    else:
        end = f"There is no folder {study.root}: mpt data build --partition NAME --root {study.root} makes it."
    terminal.print(f"{_count(len(missing), 'task')} missing in {study.root}: {some}. {end}", markup=False)


def _kinds(left: Sequence[PlannedRun], seconds: Seconds) -> Table:
    """A row for each kind of run that is left: what it does, and how long finished ones took."""
    shown = Table()
    for head in ("kind of run", "runs left", "steps", "evaluations", "a run", "in all"):
        shown.add_column(head, justify="left" if head == "kind of run" else "right", no_wrap=True)
    for kind, runs in by_kind(left).items():
        run = runs[0].resolved
        steps, every = (run.said(f"trainer.{name}") for name in ("max_steps", "val_check_interval"))
        steps = 0 if runs[0].stage == "test" else steps
        judged = runs[0].stage == "downstream" or bool(run.said("data.validation"))
        known = type(steps) is int and steps >= 0
        evaluations = steps // every if judged and type(every) is int and known else 0
        took = seconds.of(kind)
        told = ["?", "?"] if took is None else [duration(took), duration(took * len(runs))]
        counts = [f"{steps:,}", f"{evaluations:,}"] if known else ["?", "?"]
        shown.add_row(_name(runs, left), f"{len(runs):,}", *counts, *told)
    return shown


def _name(runs: Sequence[PlannedRun], among: Sequence[PlannedRun]) -> str:
    methods = list(dict.fromkeys(run.method for run in runs))
    more = f" and {len(methods) - 5} more" if len(methods) > 5 else ""
    own, all_of_them = (dict.fromkeys(run.partition for run in some if run.partition) for some in (runs, among))
    where = f" on {', '.join(own)}" if own and own != all_of_them else ""
    return f"{', '.join(methods[:5])}{more} {runs[0].stage}{where}"


def _tell_time(
    terminal: Console, study: Study, runs: Sequence[PlannedRun], left: Sequence[PlannedRun], asked: int | None
) -> None:
    """How long the runs that are left will take, as far as finished runs of their kinds tell."""
    seconds = Seconds()
    seconds.add_finished(run for run in runs if run.fingerprint)
    kinds = by_kind(left)
    if not all(map(seconds.count, kinds)):
        seconds.add_neighbours(left[0].out)
    terminal.print(_kinds(left, seconds))
    if unknown := [own for kind, own in kinds.items() if seconds.of(kind) is None]:
        names = "; ".join(_name(own, left) for own in unknown)
        terminal.print(f"No run of this kind has been timed yet: {names}. The first finished runs will tell.")
    if len(unknown) == len(kinds):
        return
    workers = min(asked or study.workers or default_workers(), len(left))
    known = seconds.of_runs(left)
    todo = {run.key for run in left}
    packed = only(units_left(runs, study.side_by_side or default_size(runs), todo, begun(runs)), todo)
    span = duration(elapsed(packed, known, workers))
    rest = f" (without {len(left) - len(known):,} runs of unknown time)" if unknown else ""
    timed = sum(map(seconds.count, kinds))
    sources = [f"the median of {_count(timed, 'finished run')} of these kinds, here and in studies beside it"]
    if any(not seconds.count(kind) and seconds.of(kind) is not None for kind in kinds):
        where = ": one core of a CPU with bfloat16, busy with other work as well"
        pace = where if seconds.pace is None else " at this machine's pace"
        sources = [*(sources if timed else []), f"what the shipped results took{pace}"]
    terminal.print(
        f"About {duration(sum(known.values()))} of computing, {span} from the first run "
        f"to the last with {_count(workers, 'worker')}{rest}, besides start, checks and report; by "
        f"{', and '.join(sources)}.",
        markup=False,
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")
