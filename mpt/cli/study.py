"""``mpt study plan | run | report | answers``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpt.cli.options import Parser, add_workers, at_least, seed
from mpt.fit.configs import find_config
from mpt.util.errors import UserError
from mpt.util.files import writing_to
from mpt.util.names import refuse_unwritable
from mpt.util.places import expanded

if TYPE_CHECKING:
    from mpt.study.run.grid import Workers
    from mpt.study.spec.study import Study


def run_study_command(arguments: list[str]) -> None:
    """Plan or run a study or rebuild its report; exits with 1 if runs are missing at the end."""
    parser = Parser(prog="mpt study", description="Methods compared by average relative gain over partitions.")
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="do every run of a study that is not finished yet, then report")
    plan = actions.add_parser("plan", help="how many runs, which wait for which, what is finished, how long it takes")
    for action in (run, plan):
        action.add_argument("file", help="study file, or the name of a shipped one (see mpt configs list)")
        action.add_argument("--out", type=expanded, help="folder of the study (default: runs/<name of the study>)")
        action.add_argument("--root", help="folder of CrossFit's few-shot files, in place of the file's root")
        action.add_argument("--backbone", help="in place of the file's: a hub name, a folder, a GGUF file")
        add_workers(action)
        action.add_argument(
            "--settings", nargs="+", default=[], metavar="NAME", help="of the study's settings only these"
        )
    run.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="on this Ray cluster (without ADDRESS: RAY_ADDRESS, else the one on this machine, else one started here)",
    )
    run.add_argument("--gpus-per-run", type=float, metavar="X", help="with --ray: GPUs a run takes, 1 or a part of one")
    run.add_argument("--only", nargs="+", metavar="KEY", help="only these runs (* as in a shell) and what they need")
    run.add_argument("--reuse", type=expanded, metavar="DIR", help="take the runs that another study's folder finished")
    plan.add_argument("--commands", action="store_true", help="print a shell command for each run that is left instead")
    report = actions.add_parser("report", help="rebuild the report from the result files, or make one of scores alone")
    report.add_argument("folder", type=expanded, nargs="?", help="folder of a study")
    report.add_argument(
        "--scores",
        type=expanded,
        metavar="FILE",
        help="in place of a folder, a CSV file of test scores: partition, method, target, draw, test_score",
    )
    report.add_argument("--baseline", metavar="METHOD", help="with --scores: what gains are relative to (default: PT)")
    report.add_argument("--out", type=expanded, help="with --scores: folder of the report")
    report.add_argument(
        "--against", metavar="METHOD", help="the method to compare the others with beside the baseline (default: MTL)"
    )
    report.add_argument(
        "--seeds", type=seed, nargs="+", default=[], metavar="DRAW", help="of the study's draws only these"
    )
    shown = actions.add_parser("answers", help="what the methods answered to some test examples, side by side")
    shown.add_argument("folder", type=expanded, help="folder of a study")
    shown.add_argument("--task", help="only this target (default: all)")
    shown.add_argument("--seed", type=seed, metavar="DRAW", help="of this draw (default: the first)")
    shown.add_argument("--rows", type=at_least(1), default=5, metavar="N", help="examples of each target (default: 5)")
    options = parser.parse_args(arguments)
    if options.action == "answers":
        _show_answers(options)
        return
    if options.action != "report":
        refuse_unwritable(arguments)  # the study's folder names them in its files
        find_config(options.file, "studies")  # one that is nowhere is told of before torch is imported
    if options.action == "plan":
        from mpt.cli.study_plan import show_plan

        show_plan(_study(options), options)
        return
    missing = _run(options) if options.action == "run" else _report(options)
    if missing:
        sys.exit(1)


def _run(options: argparse.Namespace) -> bool:
    from mpt.cli.study_view import StudyProgress, print_left_out, print_outside, print_report
    from mpt.present.terminal import console
    from mpt.study.plan.grid import chosen, plan
    from mpt.study.plan.grouping import default_size
    from mpt.study.report.write import log_report, write_report
    from mpt.study.run.claims import is_logged, join, reporting, set_logged
    from mpt.study.run.grid import run_all, unfinished
    from mpt.study.run.packs import clear_packs
    from mpt.study.run.pool import ProcessPool
    from mpt.study.run.results import REPORT, begun_with, refuse_strange, runs_outside, write_study
    from mpt.study.run.reuse import take_over
    from mpt.study.spec.settings import settings
    from mpt.util.machine import default_workers

    start = time.monotonic()
    study = _study(options)
    out = options.out or Path("runs") / study.name
    refuse_strange(out)
    places = settings(study, begun_with(study, out))
    runs = plan(study, out, places)
    workers = options.workers or study.workers or default_workers()
    if options.gpus_per_run is not None and (options.ray is None or not 0 <= options.gpus_per_run <= 1):
        raise UserError(f"--gpus-per-run {options.gpus_per_run:g}: a number from 0 to 1, and only with --ray")
    terminal = console()
    names = f" on {', '.join(setting.name for setting in places)}" if study.has_several else ""
    terminal.print(f"study {study.name} in {out}: {len(runs)} runs{names}", markup=False)
    print_left_out(terminal, places, study.root)

    def begin() -> None:
        if options.reuse is not None:
            terminal.print(f"{take_over(runs, options.reuse)} runs are taken from {options.reuse}", markup=False)
        unfinished(runs)  # complains of results of another configuration
        clear_packs(runs, whole=not study.only)
        write_study(study, places, runs, out)

    asked = chosen(runs, options.only) if options.only else runs
    with writing_to(out):
        pass
    with ExitStack() as stack:
        others = stack.enter_context(join(runs, out, begin))
        if others and options.reuse is not None:
            raise UserError(f"--reuse: another mpt study run is at work in {out}; leave it out, or wait for that one")
        make_workers: Callable[..., Workers] = ProcessPool
        if options.ray is not None:
            from mpt.study.run.ray_pool import on_ray

            cluster = stack.enter_context(on_ray(options.ray, options.gpus_per_run, out))
            make_workers, workers = cluster.make_workers, options.workers or cluster.places()
        if others:
            terminal.print(f"another mpt study run is at work in {out}: the runs are shared", markup=False)
        todo = unfinished(runs)
        if options.only:
            # For a scheduler, which has many of these at work: the report is made when they have ended.
            with StudyProgress(terminal) as live:
                lost = run_all(asked, workers, live, make_workers)
            terminal.print(f"the report: mpt study report {out}", markup=False)
            return bool(lost)
        with StudyProgress(terminal) as live:
            run_all(runs, workers, live, make_workers, study.side_by_side or default_size(runs))
    trouble = None
    with reporting(out):
        report = write_report(out)
        if todo and not is_logged(out) and not (trouble := log_report(report, out)):
            set_logged(out)
    print_report(terminal, report, out / REPORT)
    print_outside(terminal, runs_outside(out))
    if trouble:
        terminal.print(f"the report was not logged to W&B ({trouble})", markup=False)
    terminal.print(f"{time.monotonic() - start:.0f} s")
    return bool(report.missing)


def _report(options: argparse.Namespace) -> bool:
    from mpt.study.run.results import REPORT, read_study, runs_outside

    if (options.folder is None) == (options.scores is None):
        raise UserError("mpt study report takes the folder of a study, or --scores FILE and --out DIR")
    if options.scores is None:
        if options.baseline is not None or options.out is not None:
            raise UserError(
                "--baseline and --out go with --scores; a study's file names the one, its folder has the other"
            )
        _refuse_file(options.folder)
        read_study(options.folder)  # one that is none is told of before SciPy is imported
    elif options.seeds:
        raise UserError("--seeds goes with a study's folder; leave rows out of the file of --scores")
    elif options.out is None:
        raise UserError("--scores needs --out DIR, the folder that the report is written to")
    from mpt.cli.study_view import print_outside, print_report
    from mpt.present.terminal import console
    from mpt.study.report.write import write_report, write_report_of_scores

    if options.scores is None:
        report = write_report(options.folder, options.against, options.seeds)
        folder = options.folder / REPORT
    else:
        assert options.out is not None  # looked at above
        folder = options.out
        report = write_report_of_scores(options.scores, options.baseline or "PT", folder, options.against)
    print_report(console(), report, folder)
    if options.scores is None:
        print_outside(console(), runs_outside(options.folder))
    return bool(report.missing)


def _show_answers(options: argparse.Namespace) -> None:
    from mpt.study.run.results import read_study

    _refuse_file(options.folder)
    read_study(options.folder)  # one that is none is told of before SciPy is imported
    from mpt.present.terminal import console, print_table
    from mpt.study.report.answers import answer_tables
    from mpt.study.report.contents import build_report

    report, terminal = build_report(options.folder), console()
    for table in answer_tables(report, options.folder, options.task, options.seed, options.rows):
        print_table(terminal, table, "")


def _refuse_file(folder: Path) -> None:
    """Say where the runs of a study are, if its file is named in place of them."""
    if folder.is_file():
        runs = Path("runs") / folder.stem
        hint = f"did you mean {runs}?" if runs.is_dir() else "name the folder of its runs, as mpt study run said it"
        raise UserError(f"{folder} is a file, and no study's folder; {hint}")


def _study(options: argparse.Namespace) -> Study:
    """The study that the command line names, as it changes it."""
    from mpt.study.spec.study import load_study

    study = replace(load_study(find_config(options.file, "studies")), only=tuple(options.settings))
    given = {name: value for name in ("root", "backbone") if (value := getattr(options, name)) is not None}
    chosen = [variant for variant in study.variants if variant.name in study.only or not study.only]
    if own := next((variant for variant in chosen if variant.backbone and options.backbone is not None), None):
        raise UserError(
            f"--backbone {options.backbone}: the setting {own.name} of {options.file} has a backbone of its own, "
            f"{own.backbone}; choose others by --settings, or change the file"
        )
    return replace(study, **given)
