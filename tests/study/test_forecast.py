"""How long a study takes, from what its runs took."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.toy_study import write_study

from mpt.cli.study_view import StudyProgress
from mpt.record.result import RunResult
from mpt.study.forecast import Seconds, by_kind, elapsed
from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import units
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.spec.study import load_study


@pytest.fixture
def runs(tmp_path: Path) -> list[PlannedRun]:
    return plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")


def methods(runs: list[PlannedRun]) -> set[str]:
    return {run.method for run in runs}


def test_runs_that_differ_in_task_seed_rate_and_start_are_of_one_kind(runs):
    kinds = [(own[0].stage, methods(own), len(own)) for own in by_kind(runs).values()]
    assert kinds == [("upstream", {"MTL"}, 2), ("downstream", {"PT", "MTL"}, 8 + 4), ("downstream", {"FT"}, 4)]


def test_a_run_takes_what_the_middle_one_of_its_kind_took(runs):
    kind, *others = by_kind(runs)
    seconds = Seconds()
    for took in (3.0, 100.0, 5.0, 0.0):  # a result that does not say counts for nothing
        seconds.add("upstream", list(runs[0].recipe), took)
    assert (seconds.of(kind), seconds.count(kind)) == (5.0, 3) and [seconds.of(other) for other in others] == [None] * 2
    assert seconds.of_runs(runs) == {run.key: 5.0 for run in runs if run.stage == "upstream"}


def test_the_time_from_start_to_end_waits_for_upstream_runs_and_shares_out_the_rest(runs):
    seconds = {run.key: 10.0 if run.target is None else 1.0 for run in runs}
    alone = [(run,) for run in runs]
    assert elapsed(alone, seconds, 1) == 2 * 10 + 16
    # Both upstream runs side by side, then 8 runs each.
    assert elapsed(alone, seconds, 2) == 10 + 8
    # 12 runs fit beside the upstream ones, the 4 that need them come after.
    assert elapsed(alone, seconds, 100) == 11
    assert elapsed([], {}, 3) == 0


def test_a_pack_is_done_by_one_worker_and_ends_as_a_whole(runs):
    seconds = {run.key: 1.0 for run in runs}
    # Two upstream runs, the pack of 8 of PT, two of 2 of MTL and 4 runs of FT: the pack takes longest.
    assert elapsed(units(runs, 8), seconds, 100) == 8
    assert elapsed([tuple(run for run in runs if run.method != "FT")], seconds, 2) == 14


def test_a_log_tells_the_time_left_from_time_to_time_once_it_is_known(runs):
    now = [0.0]
    log = io.StringIO()
    console = Console(width=200, file=log)
    live = StudyProgress(console, lambda: now[0])
    live.begins([(run,) for run in runs], [], 2)
    for run in runs:
        now[0] += 40.0
        live.finished(run, RunResult(score=0.5, steps=6, recipe=run.recipe, seconds=10.0))
    told = [line.strip() for line in log.getvalue().splitlines() if "left" in line]
    # FT comes last in the plan, 4 runs from its end; before its first nothing is known of it, then 60 s must pass.
    assert told == ["[15/18] 20 s left", "[17/18] 10 s left"]


def test_a_short_study_tells_the_time_left_as_soon_as_it_is_known(runs):
    log = io.StringIO()
    live = StudyProgress(Console(width=200, file=log), lambda: 0.0)
    runs = [run for run in runs if run.method == "PT"]
    live.begins([(run,) for run in runs], [], 1)
    for run in runs:
        live.finished(run, RunResult(score=0.5, steps=6, recipe=run.recipe, seconds=10.0))
    assert [line.strip() for line in log.getvalue().splitlines() if "left" in line] == ["[1/8] 70 s left"]


def test_a_long_name_of_a_method_leaves_the_columns_in_line(runs):
    log = io.StringIO()
    live = StudyProgress(Console(width=200, file=log))
    runs = [replace(run, method="MTL-of-all-tasks" if run.method == "MTL" else "PT") for run in runs]
    live.begins([(run,) for run in runs], [], 1)
    for run in runs:
        live.finished(run, RunResult(score=0.5, steps=6, recipe=run.recipe, seconds=10.0))
    places = {line.index(" seed ") for line in log.getvalue().splitlines() if " seed " in line}
    assert len(places) == 1
