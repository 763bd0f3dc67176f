"""A report's CSV files. A study of several settings has one more column, the first, that names them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from mpt.study.findings import Report
from mpt.study.results import several_upstream
from mpt.study.tables import target_gains

SCORE_COLUMNS = ["method", "target", "seed", "metric", "score", "dev_score", "learning_rate", "folder"]
GAIN_COLUMNS = ["target", "method", "gain_mean", "gain_std"]
_ARG_COLUMNS = ["method", "arg_mean", "arg_std", "targets", "seeds"]
_SURE_COLUMNS = ["method", "against", "difference", "low", "high", "p", "targets", "seeds"]
_PACE_COLUMNS = ["method", "share", "step", "runs_there", "runs"]
_CURVE_COLUMNS = ["method", "step", "dev_score_mean", "dev_score_std"]

Rows = tuple[list[str], list[list[Any]]]
"""Head and rows."""


def scores_csv(report: Report) -> str:
    """One row per setting, method, target, seed and upstream seed; scores are fractions (correlations in [-1, 1]), at
    full precision. A run that several settings share has a row in each.
    """
    return _csv(*score_rows(report, SCORE_COLUMNS))


def score_rows(report: Report, columns: Sequence[str]) -> Rows:
    """Head and rows of some of :data:`SCORE_COLUMNS`, after the setting where there are several, before the upstream
    seed where that tells scores apart.
    """
    columns = [*columns, *(["upstream_seed"] if several_upstream(report.records) else [])]
    rows = [
        [section.setting.name, *(getattr(row, column) for column in columns)]
        for section in report.sections
        for row in section.scores
    ]
    return _told_apart(report, columns, rows)


def gain_rows(report: Report) -> Rows:
    """One row per setting, target and method but the baseline: relative gain in percent, mean and deviation over the
    seeds.
    """
    rows = [
        [section.setting.name, target, method, mean, std]
        for section in report.sections
        for method, gained in target_gains(section.scores, report.facts.baseline).items()
        for target, (mean, std) in gained.items()
    ]
    return _told_apart(report, GAIN_COLUMNS, rows)


def gains_csv(report: Report) -> str:
    """The rows of :func:`gain_rows`."""
    head, rows = gain_rows(report)
    return _csv(head, [[_cell(value) if isinstance(value, float) else value for value in row] for row in rows])


def arg_csv(report: Report) -> str:
    """One row per setting and method but the baseline; percent, as in table 2 of Qin et al. (2023)."""
    rows = [
        [section.setting.name, row.method, _cell(row.mean), _cell(row.std), row.targets, row.seeds]
        for section in report.sections
        for row in section.gains
    ]
    return _csv(*_told_apart(report, _ARG_COLUMNS, rows))


def significance_csv(report: Report) -> str:
    """One row per setting and comparison of two methods: the difference in ARG with its 95 % interval, in percent,
    and p.
    """
    head, rows = sure_rows(report)
    return _csv(head, [[_cell(value) if isinstance(value, float) else value for value in row] for row in rows])


def sure_rows(report: Report) -> Rows:
    """The rows of :func:`significance_csv`."""
    rows = [
        [section.setting.name, row.method, row.other, row.difference, row.low, row.high, row.p, row.targets, row.seeds]
        for section in report.sections
        for row in section.comparisons
    ]
    return _told_apart(report, _SURE_COLUMNS, rows)


def pace_csv(report: Report) -> str:
    """One row per setting, method and share of the baseline's dev score: the step by which half of the runs have it."""
    rows = [
        [section.setting.name, row.method, row.share, row.step, row.there, row.runs]
        for section in report.sections
        for row in section.convergence.reached
    ]
    return _csv(*_told_apart(report, _PACE_COLUMNS, rows))


def curves_csv(report: Report) -> str:
    """One row per setting, method and step: dev score so far, mean over targets and seeds, in fractions."""
    rows = [
        [section.setting.name, row.method, row.step, _cell(row.mean, 6), _cell(row.std, 6)]
        for section in report.sections
        for row in section.convergence.points
    ]
    return _csv(*_told_apart(report, _CURVE_COLUMNS, rows))


def _told_apart(report: Report, columns: Sequence[str], rows: list[list[Any]]) -> Rows:
    if report.facts.has_several:
        return ["partition", *columns], rows
    return list(columns), [row[1:] for row in rows]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return text.getvalue()


def _cell(value: float, digits: int = 4) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
