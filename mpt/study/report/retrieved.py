"""What a study's methods took from its library, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from mpt.present.table import Table, TableCell
from mpt.study.report.contents import Report, Section
from mpt.study.run.results import RunRecord, several_upstream
from mpt.study.scores.scores import Score

Place = tuple[str, str | None, str | None]
"""Method, target and partition."""

READING = (
    "The prompts that each score's run started from, or the tasks that its upstream stage learned on, with the "
    "similarity of their keys to the target's. Where several prompts were tried, it is the one of the best dev score; "
    "an oracle's is the one of the best test score."
)


def retrieves(report: Report) -> bool:
    """Whether any run took something from a library."""
    return any(record.source is not None for record in report.records)


def retrieved_table(report: Report, section: Section) -> Table | None:
    """A row for each method that retrieves and target, a column per seed; None if nothing was retrieved."""
    if not retrieves(report):
        return None
    by_key = {record.key: record for record in report.records}
    upstream: dict[Place, list[RunRecord]] = {}
    for record in report.records:
        if record.stage == "upstream":
            upstream.setdefault((record.method, record.target, record.partition), []).append(record)
    several = several_upstream(report.records)
    found: dict[tuple[str, str], dict[int, list[str]]] = {}
    for score in section.scores:
        record = by_key[score.folder]
        start = f"upstream {score.upstream_seed}: " if score.method in several else ""
        before = upstream.get((score.method, score.target, record.partition), [])
        if text := _told(record) or _told(_upstream(score, before)):
            found.setdefault((score.method, score.target), {}).setdefault(score.seed, []).append(start + text)
    if not found:
        return None
    seeds = report.facts.seeds
    rows: list[list[TableCell]] = [
        [*names, *("; ".join(own.get(seed, [])) for seed in seeds)] for names, own in found.items()
    ]
    methods = [method for method, _ in found]
    rules = frozenset(i for i in range(1, len(rows)) if methods[i] != methods[i - 1])
    return Table(["method", "target", *(f"seed {seed}" for seed in seeds)], rows, texts=2 + len(seeds), rules=rules)


def _upstream(score: Score, own: Sequence[RunRecord]) -> RunRecord | None:
    """Of the upstream runs for this target the one; in a folder that does not say which, the same seed's or the one."""
    seed = score.seed if score.upstream_seed is None else score.upstream_seed
    return next((record for record in own if record.seed == seed), own[0] if len(own) == 1 else None)


def _told(record: RunRecord | None) -> str:
    if record is None or record.result is None or (source := record.result.source) is None:
        return ""
    names, values = (part if isinstance(part, list) else [part] for part in (source, record.result.similarity))
    return ", ".join(f"{name} ({value:.3f})" for name, value in zip(names, values, strict=True))
