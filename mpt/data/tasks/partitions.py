"""Partitions: which tasks a prompt is learned on, and which other tasks it is measured on.

A partition is a YAML file with the keys ``source``, ``target`` and optionally ``validation`` (lists of task
names, no task in two of them); its name is the file's. ``stated`` may give the counts of source and target tasks that
a publication states; the lists hold whatever it says. The tasks may be any: those of the catalogue, of the synthetic
suite, or a user's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.names import nearest
from mpt.util.yaml_file import parse_yaml, read_text
from mpt.util.yaml_keys import shown

PARTS = ("source", "target", "validation")

_SHIPPED = Path(__file__).with_name("partitions")


@dataclass(frozen=True)
class Partition:
    """Source and target tasks, disjoint.

    Attributes:
        validation: tasks in neither, on which hyperparameters are chosen.
        stated: the counts of ``source`` and ``target`` that the publication of the partition states.
        about: what it is, in a line: the file's first comment.
    """

    name: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    validation: tuple[str, ...] = ()
    stated: Mapping[str, int] = field(default_factory=dict, hash=False)
    about: str = field(default="", compare=False)

    def part_of(self, task: str) -> str:
        """``source``, ``target`` or ``validation``; empty for a task in none of them."""
        return next((part for part in PARTS if task in getattr(self, part)), "")


def partition_names() -> list[str]:
    """The partitions that come with the package."""
    return sorted(file.stem for file in _SHIPPED.glob("*.yaml"))


def load_partition(name_or_path: str | Path) -> Partition:
    """A shipped partition by name, or any by the path of its ``.yaml`` file.

    Raises:
        UserError: no such name or file; or a file that is no partition, with what is wrong in it.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        name, known = str(name_or_path), partition_names()
        if name not in known:
            raise UserError(f"There is no partition {name!r}, nor does that name a .yaml file; {nearest(name, known)}")
        path = _SHIPPED / f"{name}.yaml"
    return _parse(path.stem, read_text(path, "partition file"), f"The partition file {path}")


def _parse(name: str, text: str, what: str) -> Partition:
    content = parse_yaml(text, what)
    if not isinstance(content, dict):
        raise UserError(f"{what} must hold the keys source, target and, if need be, validation.")
    if unknown := [key for key in content if key not in (*PARTS, "stated")]:
        name = unknown[0] if isinstance(unknown[0], str) else shown(unknown[0])
        raise UserError(f"{what} has the unknown key {name}; known are source, target, validation and stated.")
    parts = {}
    for key in PARTS:
        tasks = content.get(key, [])
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise UserError(f"{what}: {key} must be a list of task names (in quotes, if they look like numbers).")
        if not tasks and key != "validation":
            raise UserError(f"{what} names no {key} task.")
        for task in tasks:
            if not is_folder_name(task):
                raise UserError(f"{what}: {key} names {task!r}; a task is named by its folder, without a path.")
        parts[key] = tuple(tasks)
    counts = Counter(task for tasks in parts.values() for task in tasks)
    if twice := [task for task, count in counts.items() if count > 1]:
        raise UserError(f"{what} names a task twice, or in two of its lists: {', '.join(twice)}.")
    first = text.split("\n", 1)[0]
    about = first.removeprefix("#").strip() if first.startswith("#") else ""
    return Partition(name, **parts, stated=_stated(content.get("stated", {}), what), about=about)


def _stated(content: Any, what: str) -> dict[str, int]:
    if not isinstance(content, dict) or not content.keys() <= {"source", "target"}:
        raise UserError(f"{what}: stated must hold source and target, each a number of tasks.")
    for key, count in content.items():
        if type(count) is not int or count < 0:
            raise UserError(f"{what}: stated must be a number of tasks for {key}, not {shown(count)}.")
    return content
