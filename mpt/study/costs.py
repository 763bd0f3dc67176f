"""What each method learned upstream cost: steps, example passes and seconds, the library that it retrieves from
included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from mpt.errors import UserError
from mpt.study.layout import Cell, Table
from mpt.study.results import Facts, Record
from mpt.study.retrieval import EMBEDDING

COST_COLUMNS = ["method", "part", "runs", "steps", "examples", "seconds"]

READING = (
    "What was learned before a target's own runs, all upstream seeds and targets of the setting together. An example "
    "pass is a row of a training batch, each time that it is read for a loss: a meta-learner reads its support rows at "
    "every inner step and its query rows once (second reads of the support for MAML's Hessian are not counted). The "
    "library counts whole for each method that retrieves from it, and so do the runs that make the targets' keys, "
    "though both are paid for but once: shared is how much of the examples that is. > stands where a part is not known."
)

Spent = tuple[int | None, int | None, float | None]
"""Steps, example passes and seconds of one training; None where they are not known."""

Source = tuple[str, str, str, str]
"""A library as a run's command line names it: where it is, the backbone, the tasks left out, the digest of the rest."""


@dataclass(frozen=True)
class Amount:
    """A sum, of which parts may not be known: ``1,200``, ``> 1,200``, ``unknown``."""

    known: float = 0
    whole: bool = True

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Amount:
        """The sum of values, of which None is not known."""
        values = list(values)
        return cls(sum(value for value in values if value is not None), None not in values)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.known + other.known, self.whole and other.whole)

    def __str__(self) -> str:
        if not self.whole and not self.known:
            return "unknown"
        return f"{'' if self.whole else '> '}{self.known:,.0f}"


@dataclass(frozen=True)
class Cost:
    """What a part of what a method learned upstream took, in one setting.

    Attributes:
        part: ``own`` upstream runs, the runs that make the targets' ``keys``, the prompts of the ``library``, or
            ``none`` where a method learns nothing before its targets.
        runs: finished ones; of a library its prompts.
        examples: example passes, see :attr:`mpt.learn.learner.Learner.examples`.
    """

    setting: str
    method: str
    part: str
    runs: int = 0
    steps: Amount = Amount()
    examples: Amount = Amount()
    seconds: Amount = Amount()

    @property
    def is_shared(self) -> bool:
        """Whether it is paid for once, whatever the number of methods that use it."""
        return self.part in ("keys", "library")


def read_costs(out: Path, facts: Facts, records: Sequence[Record]) -> list[Cost]:
    """The costs of a study's methods, setting by setting, in the order of the study file.

    Reads the libraries that its runs name, and the ``config.yaml`` of upstream runs whose results do not tell their
    examples, as far as they are there.
    """
    raise NotImplementedError


def upstream_costs(
    facts: Facts, records: Sequence[Record], libraries: Mapping[Source, Sequence[Spent] | None]
) -> list[Cost]:
    """:func:`read_costs` of what has been read; pure.

    A method of which nothing is finished in a setting is left out there.

    Args:
        libraries: by how the runs name them, what each of their prompts took; None if one cannot be read.
    """
    raise NotImplementedError


def costs_table(costs: Sequence[Cost], setting: str) -> Table:
    """A row per method of a setting: what it learned upstream, and what that took; to be read with :data:`READING`."""
    raise NotImplementedError


def cost_rows(costs: Sequence[Cost]) -> list[list[Any]]:
    """The setting and :data:`COST_COLUMNS`, a row per setting, method and part; nothing where a number is not known."""
    raise NotImplementedError
