"""The scores of a true oracle: the best on test of all starts that a method tried. Nobody can choose so; it bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpt.study.run.results import RunRecord, StudyFacts
from mpt.study.scores.scores import Score, choose


def oracle_name(facts: StudyFacts, method: str) -> str:
    """What the oracle over a method's starts is called in a report: ``Oracle (chosen on test)``, with the method's name
    where a study has several.
    """
    return "Oracle (chosen on test)" if len(facts.oracles) == 1 else f"Oracle of {method} (chosen on test)"


def with_oracles(facts: StudyFacts) -> StudyFacts:
    """The facts with each oracle as a method of its own, after all others."""
    return replace(facts, methods=[*facts.methods, *(oracle_name(facts, method) for method in facts.oracles)])


def is_oracle(facts: StudyFacts, method: str) -> bool:
    """Whether a method of a report is one, which is the best of nothing: it has seen the test scores."""
    return method in (oracle_name(facts, own) for own in facts.oracles)


def oracle_scores(facts: StudyFacts, records: Sequence[RunRecord]) -> list[Score]:
    """For each method that tried every prompt (``facts.oracles``), target and seed: the score of the prompt that is
    best on test, under :func:`oracle_name`. Learning rates stay chosen on dev, for each prompt by itself.

    Where a run of one is missing it is the best of those that are there.

    Args:
        records: of one setting, as for :func:`mpt.study.scores.scores.choose`.
    """
    best: dict[tuple[str, str, int], Score] = {}
    for method in facts.oracles:
        groups: dict[str, list[RunRecord]] = {}
        for record in records:
            if record.method == method and isinstance(record.source, str):
                groups.setdefault(record.source, []).append(record)
        for row in (row for group in groups.values() for row in choose(group)):
            held = best.setdefault((method, row.target, row.seed), row)
            if row.score > held.score:
                best[method, row.target, row.seed] = row
    return [replace(row, method=oracle_name(facts, row.method)) for row in best.values()]
