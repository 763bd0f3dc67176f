"""Answers in languages that were not learned: quality, language, ASCII, as in the tables of Vu et al. (2022)."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from mpt.present.table import Measured, Table, TableCell
from mpt.study.report.contents import Report, Section
from mpt.study.scores.scores import mean_std

READING = (
    "Tasks in other languages, answered by what was best on dev of the task that was learned (the callback "
    "OtherLanguages); in percent, mean ± deviation over the draws. LID is CLD3's mean confidence that an answer is in "
    "a language, ASCII the mean share of ASCII characters, empty the share of answers without a letter, which the "
    "others leave out. What was answered stands in languages.html."
)
COLUMNS = ("method", "target", "seed", "task", "measure", "value", "folder")


def language_tables(section: Section) -> list[tuple[str, Table]]:
    """Of each task that was answered so its name, and a row for each target and method."""
    found: dict[str, dict[tuple[str, str], dict[str, dict[int, list[float]]]]] = {}
    for row in section.measured:
        own = found.setdefault(row.task, {}).setdefault((row.run.target, row.run.method), {})
        own.setdefault(row.measure, {}).setdefault(row.run.seed, []).append(100 * row.value)
    tables = []
    for task, rows in found.items():
        names = list(dict.fromkeys(name for measured in rows.values() for name in measured))
        several = len({target for target, _ in rows}) > 1
        lines: list[list[TableCell]] = []
        for (target, method), measured in rows.items():
            # Several of a draw are of several prompts learned upstream.
            values = ([*map(fmean, measured.get(name, {}).values())] for name in names)
            cells = [Measured(*mean_std(own)) if own else "missing" for own in values]
            lines.append([*([target] if several else []), method, *cells])
        head = [*(["learned"] if several else []), "method", *names]
        tables.append((task, Table(head, lines, texts=1 + several)))
    return tables


def language_rows(report: Report) -> tuple[list[str], list[list[Any]]]:
    """One row per setting, method, target, seed, task and measure; values are fractions."""
    rows = [
        [section.setting.name, run.method, run.target, run.seed, row.task, row.measure, row.value, run.folder]
        for section in report.sections
        for row in section.measured
        for run in [row.run]
    ]
    return ["partition", *COLUMNS], rows
