"""The partitions of a study, read and checked: the "settings" of Qin et al. (2023), table 2."""

from __future__ import annotations

from dataclasses import dataclass

from mpt.data.partitions import load_partition
from mpt.data.tasks import nearest
from mpt.errors import UserError
from mpt.study.spec import Study


@dataclass(frozen=True)
class Setting:
    """A partition as a study uses it.

    Attributes:
        name: the partition's, which folders, tables and figure show.
        given: how the study file names it: a shipped name or a YAML file.
        targets: tasks that the methods are measured on.
        sources: tasks that an upstream stage learns on.
    """

    name: str
    given: str
    targets: tuple[str, ...]
    sources: tuple[str, ...]


def settings(study: Study) -> list[Setting]:
    """The study's partitions, in the order of its file.

    Raises:
        UserError: an unknown partition or task; two partitions of one name.
    """
    found: dict[str, Setting] = {}
    for given in study.partitions:
        partition = load_partition(given)
        if partition.name in found:
            raise UserError(
                f"{study.file}: {found[partition.name].given} and {given} are both named {partition.name}, and folders "
                "and tables go by that name; rename one of the files"
            )
        targets = _part(study, partition.name, "targets", study.targets, partition.target)
        sources = _part(study, partition.name, "sources", study.sources, partition.source)
        found[partition.name] = Setting(partition.name, given, targets, sources)
    return list(found.values())


def _part(study: Study, name: str, what: str, chosen: tuple[str, ...], tasks: tuple[str, ...]) -> tuple[str, ...]:
    for task in chosen:
        if task not in tasks:
            raise UserError(
                f"{study.file}: {what} names {task}, which is not among the {what} of the partition {name}; "
                f"{nearest(task, tasks)}"
            )
    return chosen or tasks
