"""The scores of a true oracle: the best on test of all starts that a method tried. Nobody can choose so; it bounds."""

from __future__ import annotations

from collections.abc import Sequence

from mpt.study.results import Facts, Record
from mpt.study.tables import Score


def oracle_name(facts: Facts, method: str) -> str:
    """What the oracle over a method's starts is called in a report: ``Oracle (chosen on test)``, with the method's name
    where a study has several.
    """
    raise NotImplementedError


def oracle_scores(facts: Facts, records: Sequence[Record]) -> list[Score]:
    """For each method that tried every prompt (``facts.oracles``), target and seed: the score of the prompt that is
    best on test, under :func:`oracle_name`. Learning rates stay chosen on dev, for each prompt by itself.

    Args:
        records: of one setting, as for :func:`mpt.study.tables.choose`.
    """
    raise NotImplementedError
