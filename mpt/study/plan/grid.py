"""The grid of a study as data: every run it takes, each exactly an ``mpt fit`` that a user could type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from mpt.study.plan.library import StudyLibrary
from mpt.study.plan.other_tasks import tests_on_other_tasks
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.plan.planner import Planner, RunContext
from mpt.study.plan.retrieving import RetrievingPlanner
from mpt.study.spec.settings import Setting, settings
from mpt.study.spec.study import Study
from mpt.util.errors import UserError
from mpt.util.names import nearest

_MOST = 500_000
"""Runs of a study."""


def plan(
    study: Study, out: Path, places: Sequence[Setting] | None = None, absent: Collection[str] = ()
) -> list[PlannedRun]:
    """Every run of the study: first all upstream runs, then method by method, target by target, seed by seed; then the
    tests on other tasks.

    A method with several upstream seeds has for each target and seed a run from each of their prompts. With several
    settings, a method with an upstream stage learns once for each, or once for all where they differ in
    the shots of the targets alone. One without is the same whatever the sources, so it runs once for each target that
    any of them has, unless settings differ in more than that. One that retrieves has runs of its own for each target
    and setting; all of them share the runs that make the targets' keys, which come before all others.

    Reads the data too, so that a wrong name or a malformed file is known before the first run.

    Args:
        places: the study's settings; :func:`mpt.study.spec.settings.settings` of it if not given.
        absent: tasks whose data are not looked at, for a count of runs that cannot be done yet: those on such a task
            have an empty fingerprint.

    Raises:
        UserError: an unknown partition, task or config file; a draw that is not there or is malformed.
    """
    places = settings(study) if places is None else list(places)
    _count(study, places)
    planner = Planner(study, out, places, frozenset(absent))
    library_of_study = StudyLibrary(study)
    planner.check_sources(library_of_study)
    planner.check_choices()
    retrieving = RetrievingPlanner(planner, library_of_study)
    upstream: list[PlannedRun] = []
    downstream: list[PlannedRun] = []
    for method in study.methods:
        if method.retrieve is not None:
            for run in retrieving.runs(method):
                (upstream if run.stage == "upstream" else downstream).append(run)
            continue
        if method.upstream is None:
            for partition, setting, targets in planner.alone():
                for target in targets:
                    for seed in study.seeds:
                        context = RunContext(method, "downstream", setting, partition, target, seed)
                        downstream += planner.downstream(context, None)
            continue
        starts: dict[int, PlannedRun] = {}
        for setting in planner.settings:
            if not (starts and study.shares_upstream):
                seeds = method.upstream.seeds or study.seeds
                starts = {seed: planner.upstream(method, setting, seed) for seed in seeds}
                upstream += starts.values()
            partition = setting.name if study.has_several else None
            for target in setting.targets:
                for seed in study.seeds:
                    context = RunContext(method, "downstream", setting, partition, target, seed)
                    for own in method.upstream.seeds or (seed,):
                        downstream += planner.downstream(context, starts[own])
    runs = [*retrieving.keys.values(), *upstream, *downstream, *tests_on_other_tasks(planner, downstream)]
    if twice := [key for key, count in Counter(run.key for run in runs).items() if count > 1]:
        raise UserError(
            f"{study.file}: two different runs would be in the folder {twice[0]}; take learning rates that differ in "
            "six digits, and rename a task that is called as a run that learns upstream"
        )
    return runs


def _count(study: Study, places: Sequence[Setting]) -> None:
    """Refuse a grid so large that its runs could not even be written down; of what is retrieved one prompt counts."""
    targets = len({target for setting in places for target in setting.targets})
    runs = sum(
        targets
        * len(study.seeds)
        * max(1, len(method.downstream.learning_rates))
        * max(1, method.ensemble)
        * max(1, len(method.upstream.seeds) if method.upstream is not None else 1)
        for method in study.methods
    )
    if runs > _MOST:
        raise UserError(
            f"{study.file}: {runs:,} runs, and {_MOST:,} are the most of one study; take fewer seeds, learning rates, "
            "targets or values that vary"
        )


def chosen(runs: Sequence[PlannedRun], keys: Sequence[str]) -> list[PlannedRun]:
    """Some runs, and those that they start from, in the order of the plan.

    Args:
        keys: their keys; ``*`` and ``?`` stand for what they do in a shell.

    Raises:
        UserError: a key that no run has.
    """
    asked: set[str] = set()
    for key in keys:
        found = {run.key for run in runs if fnmatchcase(run.key, key)}
        if not found:
            raise UserError(f"no run of the study is {key}; {nearest(key, [run.key for run in runs])}")
        asked |= found
    needs = {run.key: run.needs for run in runs}
    todo = list(asked)
    while todo:
        todo = [key for asker in todo for key in needs[asker] if key not in asked]
        asked.update(todo)
    return [run for run in runs if run.key in asked]
