"""A report's CSV files. The first column names the partition, or the setting, of a row."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from mpt.study.report.contents import Report
from mpt.study.report.costs import COST_COLUMNS, cost_rows
from mpt.study.run.results import several_upstream
from mpt.study.scores.gains import target_gains

SCORE_COLUMNS = ["method", "target", "seed", "metric", "score", "dev_score", "learning_rate", "folder"]

Rows = tuple[list[str], list[list[Any]]]
"""Head and rows."""


def scores_csv(report: Report) -> str:
    """One row per setting, method, target and seed; scores are fractions (correlations in [-1, 1]), at full
    precision. A run that several settings share has a row in each.
    """
    return _csv(*score_rows(report), digits=None)


def score_rows(report: Report, columns: Sequence[str] = SCORE_COLUMNS) -> Rows:
    """Head and rows of some columns, after the setting, before the upstream seed where a method has several."""
    columns = [*columns, *(["upstream_seed"] if several_upstream(report.records) else [])]
    rows = [
        [section.setting.name, *(getattr(row, column) for column in columns)]
        for section in report.sections
        for row in section.scores
    ]
    return ["partition", *columns], rows


def gains_csv(report: Report) -> str:
    """The rows of :func:`gain_rows`."""
    return _csv(*gain_rows(report))


def gain_rows(report: Report) -> Rows:
    """One row per setting, target and method but the baseline: relative gain in percent, and its deviation over the
    draws.
    """
    rows = [
        [section.setting.name, target, method, mean, std]
        for section in report.sections
        for method, gained in target_gains(section.scores, report.facts.baseline).items()
        for target, (mean, std) in gained.items()
    ]
    return ["partition", "target", "method", "gain_mean", "gain_std"], rows


def arg_csv(report: Report) -> str:
    """One row per setting and method but the baseline: ARG in percent, as in table 2 of Qin et al. (2023), its
    deviation over the draws, the 95 % interval and p against the baseline, and the mean difference in points.
    """
    rows = []
    for section in report.sections:
        for row in section.gains:
            sure = section.against(row.method, report.facts.baseline)
            test = [sure.arg.low, sure.arg.high, _p(sure.arg.p), _p(sure.p_holm)] if sure else [""] * 4
            own = [row.method, row.mean, row.std, *test, row.points, row.targets, row.draws]
            rows.append([section.setting.name, *own])
    head = ["partition", "method", "arg", "arg_std", "low", "high", "p", "p_holm", "points", "targets", "draws"]
    return _csv(head, rows)


def significance_csv(report: Report) -> str:
    """The rows of :func:`sure_rows`."""
    return _csv(*sure_rows(report))


def sure_rows(report: Report) -> Rows:
    """One row per setting and comparison of two methods: the differences in ARG (percent) and in points, with their
    95 % intervals, and p of the former.
    """
    rows = [
        [
            *(section.setting.name, row.method, row.other),
            *(row.arg.mean, row.arg.low, row.arg.high, _p(row.arg.p), _p(row.p_holm)),
            *(row.points.mean, row.points.low, row.points.high),
            *(row.targets, row.draws, row.upstream),
        ]
        for section in report.sections
        for row in section.comparisons
    ]
    head = ["partition", "method", "against", "difference", "low", "high", "p", "p_holm"]
    return [*head, "points", "points_low", "points_high", "targets", "draws", "upstream_seeds"], rows


def costs_csv(report: Report) -> str:
    """One row per setting, method and part of what it learned upstream; empty where a number is not known."""
    return _csv(["partition", *COST_COLUMNS], cost_rows(report.costs), digits=2)


def pace_csv(report: Report) -> str:
    """One row per setting, method and share of the baseline's dev score: the step by which half of the runs have it."""
    rows = [
        [section.setting.name, row.method, row.share, row.step, row.there, row.runs]
        for section in report.sections
        for row in section.convergence.reached
    ]
    return _csv(["partition", "method", "share", "step", "runs_there", "runs"], rows, digits=None)


def curves_csv(report: Report) -> str:
    """One row per setting, method and step: dev score so far, mean over targets and seeds, in fractions."""
    rows = [
        [section.setting.name, row.method, row.step, row.mean, row.std]
        for section in report.sections
        for row in section.convergence.points
    ]
    return _csv(["partition", "method", "step", "dev_score_mean", "dev_score_std"], rows, digits=6)


def _p(value: float) -> float | str:
    """To four digits, however small."""
    return value if math.isnan(value) else f"{value:.4g}"


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]], digits: int | None = 4) -> str:
    """Floats with so many digits after the point; all of them if none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value, digits) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any, digits: int | None) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) and digits is not None else value
