"""The tables as cells of text, the same for the terminal and for Markdown."""

from __future__ import annotations

import math

from mpt.study.findings import Report, Section
from mpt.study.results import Facts
from mpt.study.tables import target_scores

Table = tuple[list[str], list[list[str]]]
"""Head and rows."""


def score_table(facts: Facts, section: Section) -> Table:
    """A row per target of a partition, a column per method, and ARG as the last row."""
    scored = target_scores(section.scores)
    metric = {row.target: row.metric for row in section.scores}
    rows = []
    for target in section.targets:
        cells = [scored.get((method, target)) for method in facts.methods]
        rows.append([target, metric[target], *(plus_minus(*cell) if cell else "missing" for cell in cells)])
    last = ["ARG (%)", ""]
    for method in facts.methods:
        last.append("baseline" if method == facts.baseline else _arg(section, method))
    return ["target", "metric", *facts.methods], [*rows, last]


def arg_table(report: Report) -> Table:
    """A row per method but the baseline, a column per partition: table 2 of Qin et al. (2023)."""
    methods = [method for method in report.facts.methods if method != report.facts.baseline]
    rows = [[method, *(_arg(section, method) for section in report.sections)] for method in methods]
    return ["method", *(section.setting.name for section in report.sections)], rows


def best_methods(section: Section) -> set[str]:
    """Those of the highest ARG in a partition."""
    means = {row.method: row.mean for row in section.gains if not math.isnan(row.mean)}
    return {method for method, mean in means.items() if mean == max(means.values())}


def plus_minus(mean: float, std: float, signed: bool = False) -> str:
    """``71.2 ± 3.4``, without the deviation where there is none."""
    if math.isnan(mean):
        return "undefined"
    text = f"{mean:+.1f}" if signed else f"{mean:.1f}"
    return text if math.isnan(std) else f"{text} ± {std:.1f}"


def _arg(section: Section, method: str) -> str:
    row = next((row for row in section.gains if row.method == method), None)
    return plus_minus(row.mean, row.std, signed=True) if row is not None else "missing"
