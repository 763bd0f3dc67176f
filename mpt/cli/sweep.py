"""``mpt sweep trial | run``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from mpt.cli.options import Parser, add_workers, at_least, run_action, seed
from mpt.fit.configs import find_config
from mpt.util.machine import default_workers
from mpt.util.names import refuse_unwritable
from mpt.util.places import expanded

_USAGE = """usage: mpt sweep ACTION …

Rates and other upstream options chosen by ARG on validation tasks.

  trial FILE --method NAME [--option value …]   one setting of a study's method: what `wandb agent` starts
  run FILE [--out DIR] [--count N]              all trials of a W&B sweep file, here and without an account

`mpt sweep ACTION --help` tells more.
"""


def run_sweep_command(arguments: list[str]) -> None:
    """Do one trial or a whole sweep; exits with 1 if a trial has no ARG at the end."""
    actions: dict[str, Callable[[list[str]], bool]] = {"trial": _trial, "run": _run}

    def do(action: str, rest: list[str]) -> None:
        if not actions[action](rest):
            sys.exit(1)

    refuse_unwritable(arguments)  # the files of a trial name them
    run_action("sweep", _USAGE, {action: partial(do, action) for action in actions}, arguments)


def _trial(words: Sequence[str]) -> bool:
    from mpt.cli.sweep_words import read_trial, setup_of

    options, values = read_trial(words)
    from mpt.cli.study_view import StudyProgress
    from mpt.present.terminal import console
    from mpt.study.plan.grid import plan
    from mpt.study.run.grid import run_all
    from mpt.sweep.results import as_options
    from mpt.sweep.tracking import TrialRun, without_agent
    from mpt.sweep.trial import outcome

    bench = setup_of(options)
    runs = plan(bench.with_trials([values]), bench.out)
    terminal = console()
    terminal.print(f"trial {bench.name(values)} in {bench.out}: {as_options(values)}", markup=False)
    tracked = TrialRun(bench, values)
    with without_agent(), StudyProgress(terminal) as live:
        run_all(runs, options.workers or bench.study.workers or default_workers(), live)
    row = outcome(bench, values, runs)
    tracked.log(row)
    for task, gain in row.gains.items():
        terminal.print(f"  {task:<40} {gain:+7.1f} %", markup=False)
    if row.trouble:
        terminal.print(f"no ARG: {row.trouble}", markup=False)
    else:
        terminal.print(f"ARG {row.arg:+.2f} % over {bench.study.baseline}", markup=False)
    if tracked.trouble:
        terminal.print(f"it was not logged to W&B ({tracked.trouble})", markup=False)
    return not row.trouble


def _run(words: Sequence[str]) -> bool:
    parser = Parser(prog="mpt sweep run", description="All trials of a W&B sweep file, here and without an account.")
    parser.add_argument("file", help="sweep file, or the name of a shipped one (see mpt configs list)")
    parser.add_argument("--out", type=expanded, help="folder of the runs (default: runs/sweeps/<name of the study>)")
    parser.add_argument("--count", type=at_least(1), metavar="N", help="the most trials, with those of earlier starts")
    add_workers(parser, "the study's, else one a GPU, else one a core")
    parser.add_argument("--seed", type=seed, default=13, help="of trials drawn by chance (default: 13)")
    parser.add_argument(
        "--no-references",
        action="store_true",
        help="leave out the rates of the study and of the method's config, which are tried for comparison",
    )
    return _sweep(parser.parse_args(list(words)))


def _sweep(options: argparse.Namespace) -> bool:
    from mpt.cli.sweep_words import read_trial, setup_of
    from mpt.sweep.file import load_sweep

    begin = time.monotonic()
    sweep = load_sweep(find_config(options.file, "sweeps"))
    given, fixed = read_trial(sweep.words)
    from mpt.cli.study_view import StudyProgress
    from mpt.data.tasks.partitions import load_partition
    from mpt.present.terminal import console
    from mpt.study.run.results import REPORT
    from mpt.sweep.results import BEST, HEATMAP, TRIALS, as_options, best_of, is_told_apart, show, write_sweep
    from mpt.sweep.run import Search
    from mpt.sweep.tracking import log_sweep

    if options.out is not None:
        given.out = options.out
    bench = setup_of(given)
    workers = options.workers or given.workers or bench.study.workers or default_workers()
    folder = bench.out / REPORT / sweep.name
    terminal = console()
    tasks = ", ".join(load_partition(bench.study.partitions[0]).target)
    terminal.print(f"sweep {sweep.name} in {bench.out}: {bench.method.name} on {tasks}", markup=False)
    if sweep.stops_early:
        terminal.print("early_terminate is not done here: every trial goes on to its end", markup=False)
    search = Search(sweep, bench, fixed, folder, workers, lambda: StudyProgress(terminal))
    outcomes = search.run(options.count, options.seed, not options.no_references)
    columns, rows = write_sweep(folder, sweep.name, outcomes, search.notes, search.own, bench)
    title = f"{sweep.name}: ARG over {bench.study.baseline} on the validation tasks (%)"
    show(terminal, title, columns, rows, list(sweep.parameters))
    best = best_of(outcomes)
    if best is not None:
        terminal.print(f"best: {as_options(best.values)}", markup=False)
        if not is_told_apart(best, outcomes):
            terminal.print("the deviation over draws is no smaller than its lead: it is not told apart from the next")
        trouble = log_sweep(sweep.name, bench, columns, rows, best, folder / HEATMAP) if search.fresh else ""
        if trouble:
            terminal.print(f"the sweep was not logged to W&B ({trouble})", markup=False)
    files = [folder / name for name in (TRIALS, BEST, HEATMAP) if (folder / name).is_file()]
    terminal.print(f"files: {', '.join(map(str, files))}", markup=False)
    terminal.print(f"{time.monotonic() - begin:.0f} s")
    return not any(row.trouble for row in outcomes)
