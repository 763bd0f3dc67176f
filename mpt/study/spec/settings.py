"""The partitions of a study, read and checked: the "settings" of Qin et al. (2023), table 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mpt.data.fewshot.missing import absent, what_to_do
from mpt.data.tasks.mixtures import expanded, is_mixture
from mpt.data.tasks.partitions import Partition, load_partition
from mpt.data.tasks.task import Shots
from mpt.study.spec.study import Study, Variant
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.schema import STRICT

Tasks = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """A partition as a study uses it: a column of its ARG table.

    Attributes:
        name: the partition's, or of the study's own making; folders, tables and figure show it.
        given: how the study file names it: a shipped name or a YAML file.
        targets: tasks that the methods are measured on.
        sources: tasks that an upstream stage learns on.
        missing_targets, missing_sources: those left out because their data were not there when the study began.
        backbone: in place of the study's.
        source_k, target_k: examples, as in ``--data.k``, of source and of target tasks.
        overrides: options of every run of this setting.
        epochs: in place of those of upstream stages.
        held_out: tasks of a mixture that are not learned on, for they are targets.
    """

    name: str
    given: str
    targets: Tasks
    sources: Tasks
    missing_targets: Tasks = ()
    missing_sources: Tasks = ()
    backbone: str | None = None
    source_k: Shots | None = None
    target_k: Shots | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    held_out: Tasks = ()
    epochs: float | None = None

    __pydantic_config__ = STRICT

    @property
    def missing(self) -> Tasks:
        """Every task that is left out, of sources and targets."""
        return (*self.missing_sources, *self.missing_targets)

    def left_out(self, root: str) -> str:
        """A sentence on what is left out; empty where nothing is."""
        parts = [
            f"{len(missing)} of {len(missing) + len(used)} {kind} tasks ({', '.join(missing)})"
            for kind, missing, used in (
                ("source", self.missing_sources, self.sources),
                ("target", self.missing_targets, self.targets),
            )
            if missing
        ]
        told = [f"Left out of {self.name}, for they are not in {root}: {' and '.join(parts)}."] if parts else []
        if self.held_out:
            told.append(f"Not learned on in {self.name}, for they are targets: {', '.join(self.held_out)}.")
        return " ".join(told)


def settings(study: Study, before: Mapping[str, Setting] | None = None, strict: bool = True) -> list[Setting]:
    """The study's settings, in the order of its file; those of :attr:`Study.only` where it names some.

    Args:
        before: the settings by name with which the study began, if it did. What was left out then stays left out, so
            that a study that goes on learns on what it began with.
        strict: look for the tasks under the root; otherwise all of them are taken, whether they are there or not.

    Raises:
        UserError: an unknown partition, setting or task; two partitions of one name; tasks that are not under the root,
            all of them, unless the study skips them; none left; one that is no longer there.
    """
    found: dict[str, Setting] = {}
    for variant in study.variants or [Variant("", given) for given in study.partitions]:
        given, partition = variant.partition, load_partition(variant.partition)
        name = variant.name or partition.name
        if twice := [task for task in study.own if partition.part_of(task)]:
            raise UserError(
                f"{study.file}: {study.own[twice[0]]} is called as a task of the partition {partition.name}; rename it"
            )
        if name in found:
            raise UserError(
                f"{study.file}: {found[name].given} and {given} are both named {name}, and folders "
                "and tables go by that name; rename one of the files"
            )
        targets = _part(study, partition, "target", study.targets, partition.validation) or partition.target
        sources, held_out = _sources(study, partition, variant.sources or study.sources, targets)
        found[name] = Setting(
            name,
            given,
            targets=targets,
            sources=sources,
            held_out=held_out,
            backbone=variant.backbone,
            source_k=_first(variant.source_k, study.source_k, study.k),
            target_k=_first(variant.target_k, study.target_k, study.k),
            overrides=variant.overrides,
            epochs=variant.epochs,
        )
    for name in study.only:
        if name not in found:
            raise UserError(f"{study.file} has no setting {name}; {nearest(name, found)}")
    found = {name: setting for name, setting in found.items() if name in study.only or not study.only}
    if not strict:
        return list(found.values())
    if study.missing == "skip":
        return [_present(study, setting, (before or {}).get(setting.name)) for setting in found.values()]
    _complain(study, list(found.values()))
    return list(found.values())


def _first(*values: Shots | None) -> Shots | None:
    return next((value for value in values if value is not None), None)


def _part(study: Study, partition: Partition, kind: str, asked: Tasks, others: Tasks = ()) -> Tasks:
    """The tasks asked for, which must be among the partition's own of that kind, or those that may stand in."""
    own = (*partition.parts[kind], *others)
    for task in asked:
        if task not in own and task not in study.own:
            raise UserError(
                f"{study.file}: {kind}s names {task}, which is not among the {kind}s of the partition "
                f"{partition.name}; {nearest(task, own)}"
            )
    return asked


def _sources(study: Study, partition: Partition, asked: Tasks, targets: Tasks) -> tuple[Tasks, Tasks]:
    """The source tasks asked for, the partition's own or those of mixtures, and what is left out of the mixtures."""
    own = set(partition.source)
    _part(study, partition, "source", tuple(name for name in asked if name in own or not is_mixture(name)))
    found = tuple(expanded(asked, own)) or partition.source
    if study.learn_on_targets:
        return found, ()
    held_out = {*targets, *partition.target}
    kept = tuple(task for task in found if task not in held_out)
    if not kept:
        raise UserError(
            f"{study.file}: all tasks of the sources {', '.join(asked)} are targets of {partition.name}; SPoT learns "
            "on them all the same: learn_on_targets: true"
        )
    return kept, tuple(task for task in found if task in held_out)


def learned_on(study: Study, setting: Setting) -> Tasks:
    """The source tasks, if any method learns on them."""
    return setting.sources if any(method.upstream for method in study.methods) else ()


def _absent(study: Study, tasks: Tasks) -> list[str]:
    return absent(map(study.reference, tasks), study.root)


def _complain(study: Study, found: Sequence[Setting]) -> None:
    """Name every task that is not there, with the partition and the list it is in."""
    told: list[str] = []
    lacking: list[Setting] = []
    missing: list[str] = []
    for setting in {setting.given: setting for setting in found}.values():
        sources, targets = _absent(study, learned_on(study, setting)), _absent(study, setting.targets)
        parts = [f"{kind} {', '.join(gone)}" for kind, gone in (("source", sources), ("target", targets)) if gone]
        if parts:
            told.append(f"{setting.name} ({'; '.join(parts)})")
            lacking.append(setting)
            missing += [*sources, *targets]
    if missing:
        given = lacking[0].given if len(lacking) == 1 else None
        if given is not None and not set(missing) <= _tasks(load_partition(given)):  # of a mixture
            given = None
        end = what_to_do(list(dict.fromkeys(missing)), study.root, given, "missing: skip")
        raise UserError(f"{study.file}: tasks of {' and '.join(told)} are not in {study.root}. {end}")


def _tasks(partition: Partition) -> set[str]:
    return {*partition.source, *partition.target, *partition.validation}


def _present(study: Study, setting: Setting, before: Setting | None) -> Setting:
    """The setting without the tasks that are not there, or were not when the study began."""
    kept: dict[str, Any] = {}
    for kind, tasks in (("sources", learned_on(study, setting)), ("targets", setting.targets)):
        gone = set(_absent(study, tasks))
        if before is not None:
            if lost := [task for task in getattr(before, kind) if task in gone]:
                raise UserError(
                    f"{study.file}: the study began with {', '.join(lost)} among the {kind} of {setting.name}, and "
                    f"{study.root} no longer has them; put them back, or give another --out"
                )
            gone |= set(getattr(before, f"missing_{kind}"))
        used = tuple(task for task in tasks if task not in gone)
        if tasks and not used:
            raise UserError(f"{study.file}: none of the {kind} of {setting.name} is in {study.root}")
        kept |= {kind: used or setting.sources, f"missing_{kind}": tuple(task for task in tasks if task in gone)}
    return replace(setting, **kept)
