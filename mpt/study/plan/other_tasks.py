"""Tests of what was learned on one task on others, without learning on them: zero-shot, as in Lester et al. (2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpt.data.fewshot.files import SYNTHETIC, find_task
from mpt.data.fewshot.missing import absent
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.study.plan.planned_run import PLACE, PlannedRun
from mpt.study.plan.planner import Planner, RunContext, root_of, start_options
from mpt.study.spec.study import Study
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.yaml_file import is_yaml

_STARTS = ("model.init", "model.start", "model.reparameterisation")
"""What a test does not take over: what is tested is a prompt as it was kept, or a model."""


def tests_on_other_tasks(planner: Planner, downstream: Sequence[PlannedRun]) -> Iterator[PlannedRun]:
    """For each downstream run a test on each of the tasks that the study names for its target.

    It is the ``mpt test`` of a run that starts from the other's dev-best prompt, or model, and learns nothing.

    Raises:
        UserError: the study names tests of a task that is no target; a task that is not there; other label words; a
            method's prompt stands behind another's rows.
    """
    study = planner.study
    targets = {target for setting in planner.settings for target in setting.targets}
    for target in study.test_on:
        if target and target not in targets and not study.only:
            raise UserError(f"{study.file}: test_on.{target}: it is no target of the study; {nearest(target, targets)}")
    skipped = set(absent(map(study.reference, _named(study)), study.root)) if study.missing == "skip" else set()
    for run in downstream:
        for task in study.tested_on(str(run.target)):
            if task not in skipped:
                yield _test(planner, run, task)


def other_tasks(study: Study, targets: Sequence[str]) -> list[str]:
    """The tasks that a study tests on, beside its targets."""
    return list(dict.fromkeys(task for target in targets for task in study.tested_on(target)))


def _named(study: Study) -> list[str]:
    return list(dict.fromkeys(task for tasks in study.test_on.values() for task in tasks))


def _test(planner: Planner, run: PlannedRun, task: str) -> PlannedRun:
    study, key = planner.study, f"{run.key}-on-{task}"
    (method,) = (one for one in study.methods if one.name == run.method)
    context = RunContext(
        method,
        "test",
        planner.settings[0],
        run.partition,
        task,
        run.seed,
        rate=run.learning_rate,
        rank=run.rank,
        upstream_seed=run.upstream_seed,
        trained_on=run.target,
    )
    options = {name: value for name, value in run.options.items() if root_of(name) not in _STARTS}
    if run.resolved.class_name("model") == "SubPromptTuning":
        raise UserError(
            f"{study.file}: test_on: what SubPromptTuning learned (methods.{run.method}) stands behind the rows of "
            "another prompt, and is not tested on other tasks; leave out the method or test_on"
        )
    if run.resolved.said("model.reparameterisation") is not None:
        options["model.reparameterisation"] = None
    options |= start_options(f"{PLACE}/{run.key}", run.resolved, run.resolved, study.file)
    options |= {"data.task": study.reference(task), "trainer.default_root_dir": f"{PLACE}/{key}"}
    if "trainer.logger.name" in options:
        options["trainer.logger.name"] = key
    if words := _as_learned(study, str(run.target), task):
        options["data.labels_as"] = words
    read = planner.draw(task, run.seed, planner.resolved(context.stage, options))
    return planner.run(context, options, read, run)


def _as_learned(study: Study, learned: str, tested: str) -> dict[str, str]:
    """The label words of a task as those of another that mean the same; nothing where they are the same words."""
    ours, theirs = (_labels(study.root, study.reference(task)) for task in (learned, tested))
    if not ours or not theirs:
        return {}
    words = {}
    for label in theirs:
        same = {word for group in study.same_labels if label in group for word in group}
        found = [label] if label in ours else [word for word in ours if word in same]
        if len(found) != 1:
            raise UserError(
                f"{study.file}: test_on: {label} of {tested} is none of the labels of {learned} ({', '.join(ours)}); "
                f"say in same_labels which of them means the same: [[{label}, …], …]"
            )
        words[label] = found[0]
    return {} if all(label == word for label, word in words.items()) else words


def _labels(root: str, task: str) -> tuple[str, ...]:
    if is_yaml(task):
        return find_task(root, task).labels
    known = synthetic_tasks().get(task) if root == SYNTHETIC else catalogue().get(task)
    return () if known is None else tuple(known.labels)
