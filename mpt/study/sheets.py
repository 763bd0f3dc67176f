"""A report's CSV files. A study of several partitions has one more column, the first, that names them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from mpt.study.findings import Report

SCORE_COLUMNS = ["method", "target", "seed", "metric", "score", "dev_score", "learning_rate", "folder"]
_ARG_COLUMNS = ["method", "arg_mean", "arg_std", "targets", "seeds"]


def scores_csv(report: Report) -> str:
    """One row per partition, method, target and seed; scores are fractions (correlations in [-1, 1]), at full
    precision. A run that several partitions share has a row in each.
    """
    return _csv(*score_rows(report, SCORE_COLUMNS))


def score_rows(report: Report, columns: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of some of :data:`SCORE_COLUMNS`, after the partition where there are several."""
    rows = [
        [section.setting.name, *(getattr(row, column) for column in columns)]
        for section in report.sections
        for row in section.scores
    ]
    return _told_apart(report, columns, rows)


def arg_csv(report: Report) -> str:
    """One row per partition and method but the baseline; percent, as in table 2 of Qin et al. (2023)."""
    rows = [
        [section.setting.name, row.method, _cell(row.mean), _cell(row.std), row.targets, row.seeds]
        for section in report.sections
        for row in section.gains
    ]
    return _csv(*_told_apart(report, _ARG_COLUMNS, rows))


def _told_apart(report: Report, columns: Sequence[str], rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    if report.facts.has_several:
        return ["partition", *columns], rows
    return list(columns), [row[1:] for row in rows]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return text.getvalue()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
