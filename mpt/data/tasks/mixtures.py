"""Mixtures: source tasks under one name, as SPoT groups its data sets (Vu et al. 2022, section 2.3 and appendix B).

A mixture is a YAML file with the one key ``tasks``, a list of task names; its name is the file's. Wherever source tasks
are named, a mixture's name, or the path of its ``.yaml`` file, stands for all of them. (The path of a user's own task,
:mod:`mpt.data.tables.own_file`, stands for that task.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.names import nearest
from mpt.util.reading import read_text
from mpt.util.schema import FromFile, checking, listed, read_values
from mpt.util.yaml_file import is_yaml, parse_yaml

_SHIPPED = Path(__file__).with_name("mixtures")


def _is_a_folders(task: str) -> None:
    if not is_folder_name(task):
        raise ValueError(f"names {task!r}; a task is named by its folder, without a path")


TaskName = Annotated[str, checking(_is_a_folders)]

Tasks = Annotated[tuple[TaskName, ...], listed("task names")]


@dataclass(frozen=True)
class Mixture(FromFile):
    """Source tasks that are learned on together.

    Attributes:
        about: what it is, in a line: the file's first comment.
    """

    name: str
    tasks: Tasks
    about: str = field(default="", compare=False)

    HIDDEN: ClassVar = ("name", "about")


@cache
def mixture_names() -> tuple[str, ...]:
    """The mixtures that come with the package."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.yaml")))


def load_mixture(name_or_path: str | Path) -> Mixture:
    """A shipped mixture by name, or any by the path of its ``.yaml`` file.

    Raises:
        UserError: no such name or file; or a file that is no mixture, with what is wrong in it.
    """
    path = Path(name_or_path)
    if is_yaml(path):
        return _read(path)
    name = str(name_or_path)
    if name not in mixture_names():
        raise UserError(
            f"There is no mixture {name!r}, nor does that name a .yaml file; {nearest(name, mixture_names())}"
        )
    return _shipped(name)


def expanded(names: Iterable[str], tasks: Iterable[str] = ()) -> list[str]:
    """Names of tasks, with the tasks of a mixture in its place; each once, where it comes first.

    Args:
        names: of tasks and mixtures.
        tasks: those that are there: such a name is the task's, even if a mixture has the same.

    Raises:
        UserError: a ``.yaml`` file that is no mixture.

    >>> expanded(["glue-wnli", "rainbow"])
    ['glue-wnli', 'art', 'cosmos_qa', 'hellaswag', 'piqa', 'social_i_qa', 'wino_grande']
    """
    there = set(tasks)
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(load_mixture(name).tasks if is_mixture(name) and name not in there else [name])
    return list(found)


def is_mixture(name: str) -> bool:
    """Whether it is the name of a shipped mixture, or of a YAML file that is no task's."""
    return name in mixture_names() or (is_yaml(name) and not is_task_file(name))


def is_task_file(name: str) -> bool:
    """Whether a YAML file's keys are those of a user's own task (:mod:`mpt.data.tables.own_file`)."""
    try:
        content = parse_yaml(read_text(Path(name), "task file"), name) if is_yaml(name) else None
    except UserError:
        return False
    return isinstance(content, dict) and "tasks" not in content and bool({"input", "output"} & content.keys())


@cache
def _shipped(name: str) -> Mixture:
    return _read(_SHIPPED / f"{name}.yaml")


def _read(path: Path) -> Mixture:
    return read_values(path, "mixture file", Mixture, name=path.stem)
