"""What a task is: a named set of (input text, target text) examples with a type and a metric."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from mpt.data.crossfit.catalogue_file import read_catalogue_file
from mpt.data.crossfit.example_check import check_example
from mpt.data.crossfit.recipe import Recipe

Shots = int | Literal["all"]
"""The size of a draw: a number, or the whole training pool."""


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a task.

    Attributes:
        input: the input text.
        targets: every gold output; training predicts the first, metrics compare with all of them.
    """

    input: str
    targets: tuple[str, ...]


def is_text(examples: Sequence[Example]) -> bool:
    """Whether a task is unlabelled text: no input says anything."""
    return not any(example.input.strip() for example in examples)


@dataclass(frozen=True)
class Task:
    """Facts about a task that do not depend on a sample of its data.

    Attributes:
        name: as in the data folders, for example ``superglue-cb``.
        type: ``classification``, ``qa``, ``generation`` or ``other``: CrossFit's four groups; in the synthetic suite
            also ``paraphrase``.
        metric: one of :data:`mpt.metrics.METRICS`.
        labels: the label words, empty where the answer is free text.
        category: finer than the type, for example ``paraphrase``.
        by_label: whether k counts the examples of each label (k = 16 in CrossFit), or all of them (k = 32).
        recipe: how its records are made from a source; a task of the catalogue has one.
        suite: ``crossfit`` or ``spot``, whose task of the catalogue it is; empty for others.
    """

    name: str
    type: str
    metric: str
    labels: tuple[str, ...] = ()
    category: str = ""
    by_label: bool = False
    recipe: Recipe | None = field(default=None, repr=False)
    suite: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class FewShot:
    """One few-shot draw of a task: its train, dev and test examples for a seed.

    Attributes:
        k: examples per label (sampled by label) or in all, as in CrossFit's file names; or ``all`` there are.
    """

    task: Task
    seed: int
    k: Shots
    train: list[Example] = field(repr=False)
    dev: list[Example] = field(repr=False)
    test: list[Example] = field(repr=False)


SUITES = ("crossfit", "spot")
"""Whose tasks the catalogue holds: CrossFit's 160, and those data sets of SPoT that are not among them."""

_CATALOGUE = Path(__file__).with_name("catalogue")


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

    See :mod:`mpt.data.crossfit.catalogue_file` for the form and for errors.
    """
    path = Path(path)
    task = Task(**read_catalogue_file(path))
    if task.recipe is not None:
        check_example(task.recipe, task.labels, f"The task file {path}")
    return task


@cache
def catalogue(suite: str | None = None) -> Catalogue:
    """Tasks by name: CrossFit's 160 (the files in ``catalogue/``), and then SPoT's own (``catalogue/spot/``).

    Args:
        suite: of :data:`SUITES`, the tasks of this one alone.
    """
    folders = {"crossfit": _CATALOGUE, "spot": _CATALOGUE / "spot"}
    return Catalogue(folders if suite is None else {suite: folders[suite]})


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the names most like it, or some that exist.

    >>> nearest("superglue-bc", ["superglue-cb", "superglue-rte", "trec"])
    'did you mean superglue-cb or superglue-rte?'
    >>> nearest("mnli", ["b", "a"])
    'known are a, b.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"known are {shown}." if names else "there is none."
