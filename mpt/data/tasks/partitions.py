"""Partitions: which tasks a prompt is learned on, and which other tasks it is measured on.

A partition is a YAML file with the keys ``source``, ``target`` and optionally ``validation`` (lists of task
names, no task in two of them); its name is the file's. ``stated`` may give the counts of source and target tasks that
a publication states; the lists hold whatever it says. The tasks may be any: those of the catalogue, of the synthetic
suite, or a user's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from mpt.data.tasks.mixtures import TaskName, Tasks
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.schema import FromFile, listed, read_values, whole
from mpt.util.yaml_file import is_yaml

PARTS = ("source", "target", "validation")

_SHIPPED = Path(__file__).with_name("partitions")


@dataclass(frozen=True)
class Partition(FromFile):
    """Source and target tasks, disjoint.

    Attributes:
        validation: tasks in neither, on which hyperparameters are chosen.
        stated: the counts of ``source`` and ``target`` that the publication of the partition states.
        about: what it is, in a line: the file's first comment.
    """

    name: str
    source: Tasks
    target: Tasks
    validation: Annotated[tuple[TaskName, ...], listed("task names", least=0)] = ()
    stated: Mapping[Literal["source", "target"], Annotated[int, whole(0)]] = field(default_factory=dict, hash=False)
    about: str = field(default="", compare=False)

    HIDDEN: ClassVar = ("name", "about")

    def __post_init__(self) -> None:
        tasks = [*self.source, *self.target, *self.validation]
        if twice := [task for task in dict.fromkeys(tasks) if tasks.count(task) > 1]:
            raise ValueError(f"names a task in two of its lists: {', '.join(twice)}")

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The tasks of each of :data:`PARTS`."""
        return {"source": self.source, "target": self.target, "validation": self.validation}

    def part_of(self, task: str) -> str:
        """``source``, ``target`` or ``validation``; empty for a task in none of them."""
        return next((part for part, tasks in self.parts.items() if task in tasks), "")


def partition_names() -> list[str]:
    """The partitions that come with the package."""
    return sorted(file.stem for file in _SHIPPED.glob("*.yaml"))


def load_partition(name_or_path: str | Path) -> Partition:
    """A shipped partition by name, or any by the path of its ``.yaml`` file.

    Raises:
        UserError: no such name or file; or a file that is no partition, with what is wrong in it.
    """
    path = Path(name_or_path)
    if not is_yaml(path):
        name, known = str(name_or_path), partition_names()
        if name not in known:
            raise UserError(f"There is no partition {name!r}, nor does that name a .yaml file; {nearest(name, known)}")
        path = _SHIPPED / f"{name}.yaml"
    return read_values(path, "partition file", Partition, name=path.stem)
