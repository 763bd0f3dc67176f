"""A report's CSV files. The first column names the partition, or the setting, of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Any

from mpt.present.csv_text import csv_text
from mpt.study.report.contents import Report
from mpt.study.report.costs import COST_COLUMNS, cost_rows
from mpt.study.report.ensembles import COLUMNS as ENSEMBLE_COLUMNS
from mpt.study.report.ensembles import ensemble_rows
from mpt.study.report.languages import language_rows
from mpt.study.report.other_tasks import elsewhere_rows
from mpt.study.run.results import ARG, SCORES, several_upstream
from mpt.study.scores.gains import target_gains
from mpt.study.scores.languages import LanguagePoint

SCORE_COLUMNS = ["method", "target", "seed", "metric", "score", "dev_score", "learning_rate", "folder"]

SOMETIMES = (
    "ensembles.csv",
    "other_tasks.csv",
    "languages.csv",
    "language_curves.csv",
    "arg_written.csv",
    "significance_written.csv",
    "scores_written.csv",
)
"""Files that not every report has; those of an earlier one would stay."""

Rows = tuple[list[str], list[list[Any]]]
"""Head and rows."""


def csv_files(report: Report) -> dict[str, str]:
    """The text of each file by its name; learning curves and costs only where there are runs, which alone tell them."""
    files = {
        ARG: csv_text(*arg_rows(report), ".4f"),
        "significance.csv": csv_text(*sure_rows(report), ".4f"),
        "relative_gain.csv": csv_text(*gain_rows(report), ".4f"),
    }
    if report.records:
        files |= {
            SCORES: csv_text(*score_rows(report)),
            "costs.csv": csv_text(["partition", *COST_COLUMNS], cost_rows(report.costs), ".2f"),
            "convergence.csv": csv_text(*pace_rows(report)),
            "curves.csv": csv_text(*curve_rows(report), ".6f"),
        }
        voted = [[part.setting.name, *row] for part in report.sections for row in ensemble_rows(part.ensembles)]
        if voted:
            files["ensembles.csv"] = csv_text(["partition", *ENSEMBLE_COLUMNS], voted, ".6f")
        if (tested := elsewhere_rows(report))[1]:
            files["other_tasks.csv"] = csv_text(*tested)
        if (answered := language_rows(report))[1]:
            files["languages.csv"] = csv_text(*answered)
        if any(section.languages for section in report.sections):
            files["language_curves.csv"] = csv_text(*language_curve_rows(report), ".6f")
        if (written := report.written) is not None:
            files |= {
                "arg_written.csv": csv_text(*arg_rows(written), ".4f"),
                "significance_written.csv": csv_text(*sure_rows(written), ".4f"),
                "scores_written.csv": csv_text(*score_rows(written)),
            }
    return files


def score_rows(report: Report, columns: Sequence[str] = SCORE_COLUMNS) -> Rows:
    """One row per setting, method, target and seed: of some columns, after the setting, and before the upstream seed
    where a method has several. Scores are fractions (correlations in [-1, 1]). A run that several settings share has a
    row in each.
    """
    columns = [*columns, *(["upstream_seed"] if several_upstream(report.records) else [])]
    rows = [
        [section.setting.name, *(getattr(row, column) for column in columns)]
        for section in report.sections
        for row in section.scores
    ]
    return ["partition", *columns], rows


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


def arg_rows(report: Report) -> Rows:
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
    return head, rows


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


def pace_rows(report: Report) -> Rows:
    """One row per setting, method and share of the baseline's dev score: the step by which half of the runs have it."""
    rows = [
        [section.setting.name, row.method, row.share, row.step, row.there, row.runs]
        for section in report.sections
        for row in section.convergence.reached
    ]
    return ["partition", "method", "share", "step", "runs_there", "runs"], rows


def curve_rows(report: Report) -> Rows:
    """One row per setting, method and step: dev score so far, mean over targets and seeds, in fractions."""
    rows = [
        [section.setting.name, row.method, row.step, row.mean, row.std]
        for section in report.sections
        for row in section.convergence.points
    ]
    return ["partition", "method", "step", "dev_score_mean", "dev_score_std"], rows


def language_curve_rows(report: Report) -> Rows:
    """One row per setting, method, target, task, measure and step; values are fractions."""
    rows = [[section.setting.name, *astuple(point)] for section in report.sections for point in section.languages]
    return ["partition", *(field.name for field in fields(LanguagePoint))], rows


def _p(value: float) -> float | str:
    """To four digits, however small."""
    return value if math.isnan(value) else f"{value:.4g}"
