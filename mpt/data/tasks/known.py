"""The tasks of the catalogue, by name."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from mpt.data.catalogue.example_check import check_example
from mpt.data.catalogue.task_file import read_catalogue_file
from mpt.data.tasks.task import Task

SUITES = ("crossfit", "spot", "mrqa", "xgen")
"""Whose tasks the catalogue holds: CrossFit's 160, those data sets of SPoT that are not among them, MRQA's of other
domains than those of its training data, on which Lester et al. (2021) test, and WikiLingua in 18 languages (Vu et al.
2022)."""


_CATALOGUE = Path(__file__).parents[1] / "catalogue"


class Catalogue(Mapping[str, Task]):
    """Tasks by name, each from a YAML file of its name that is read when it is asked for, and once.

    Args:
        folders: by the suite of the tasks in it.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._suites = {file.stem: suite for suite, folder in folders.items() for file in sorted(folder.glob("*.yaml"))}
        self._files = {name: folders[suite] / f"{name}.yaml" for name, suite in self._suites.items()}
        self._tasks: dict[str, Task] = {}

    def __getitem__(self, name: str) -> Task:
        if name not in self._tasks:
            self._tasks[name] = Task(**read_catalogue_file(self._files[name]), suite=self._suites[name])
        return self._tasks[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_task(path: str | Path) -> Task:
    """A task from a user's own file of the catalogue's form, whose example is tried: it must come out as it says.

    See :mod:`mpt.data.catalogue.task_file` for the form and for errors.
    """
    path = Path(path)
    task = Task(**read_catalogue_file(path))
    if task.recipe is not None:
        check_example(task.recipe, task.labels, f"The task file {path}")
    return task


@cache
def catalogue(suite: str | None = None) -> Catalogue:
    """Tasks by name: CrossFit's 160, then SPoT's own, MRQA's and xGen's (a folder each in ``catalogue/``).

    Args:
        suite: of :data:`SUITES`, the tasks of this one alone.
    """
    folders = {suite: _CATALOGUE / suite for suite in SUITES}
    return Catalogue(folders if suite is None else {suite: folders[suite]})
