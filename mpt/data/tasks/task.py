"""What a task is: a named set of (input text, target text) examples with a type and a metric."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mpt.data.catalogue.recipe import ExampleRecipe

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
        metric: one of :data:`mpt.metrics.by_name.METRICS`.
        labels: the label words, empty where the answer is free text.
        category: finer than the type, for example ``paraphrase``.
        by_label: whether k counts the examples of each label (k = 16 in CrossFit), or all of them (k = 32).
        recipe: how its records are made from a source; a task of the catalogue has one.
        suite: ``crossfit``, ``spot``, ``mrqa`` or ``xgen``, whose task of the catalogue it is; empty for others.
    """

    name: str
    type: str
    metric: str
    labels: tuple[str, ...] = ()
    category: str = ""
    by_label: bool = False
    recipe: ExampleRecipe | None = field(default=None, repr=False)
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
