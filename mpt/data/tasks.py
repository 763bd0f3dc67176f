"""What a task is: a named set of (input text, target text) examples with a type and a metric."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a task.

    Attributes:
        input: the input text.
        targets: every gold output; training predicts the first, metrics compare with all of them.
    """

    input: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """Facts about a task that do not depend on a sample of its data.

    Attributes:
        name: as in the data folders, for example ``superglue-cb``.
        type: ``classification``, ``paraphrase``, ``qa``, ``generation`` or ``other``.
        metric: one of :data:`mpt.metrics.METRICS`.
        labels: the label words, empty where the answer is free text.
    """

    name: str
    type: str
    metric: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class FewShot:
    """One few-shot draw of a task: its train, dev and test examples for a seed.

    Attributes:
        k: examples per label (sampled by label) or in all, as in CrossFit's file names.
    """

    task: Task
    seed: int
    k: int
    train: list[Example] = field(repr=False)
    dev: list[Example] = field(repr=False)
    test: list[Example] = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """What the catalogue knows about a task.

    Attributes:
        type: see :class:`Task`.
        metric: one of :data:`mpt.metrics.METRICS`.
        by_label: whether k counts the examples of each label, or all of them.
    """

    type: str
    metric: str
    by_label: bool


@cache
def catalogue() -> Mapping[str, Entry]:
    """The 160 tasks of CrossFit by name: type, metric and way of sampling (``catalogue/crossfit.yaml``)."""
    text = Path(__file__).with_name("catalogue").joinpath("crossfit.yaml").read_text(encoding="utf-8")
    return MappingProxyType({name: Entry(**facts) for name, facts in yaml.safe_load(text).items()})


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
