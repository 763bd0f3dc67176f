"""The tables of a report as cells, the same for the terminal, Markdown, HTML and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpt.metrics.crossed import Estimate
from mpt.present.table import Measured, Table, TableCell, p_value
from mpt.study.report.contents import Report, Section
from mpt.study.run.results import StudyFacts
from mpt.study.scores.convergence import SHARES
from mpt.study.scores.gains import Gain
from mpt.study.scores.oracle import is_oracle
from mpt.study.scores.scores import target_scores

PAPER = "Qin et al."
_TESTED = ("95 % interval", "p", "p (Holm)")
"""Columns that are empty where no test is possible."""


def score_table(facts: StudyFacts, section: Section) -> Table:
    """A row per target of a setting, a column per method, then ARG and the mean difference in points; the best of each
    in bold, other than oracles and methods that have fewer scores there than another. Of many methods (a search) it is
    the other way round.
    """
    fair = [method for method in facts.methods if not is_oracle(facts, method)]  # the oracles come after them
    scored, places = target_scores(section.scores), section.places
    metric = {row.target: row.metric for row in section.scores}
    lines: list[list[TableCell]] = []
    best: list[list[int]] = []
    for target in section.targets:
        found = [scored.get((method, target)) for method in facts.methods]
        lines.append([Measured(*cell) if cell else "missing" for cell in found])
        draws = [sum(place[0] == target for place in places.get(method, ())) for method in fair]
        best.append(best_of(lines[-1], draws))
    own = {row.method: row for row in section.gains}
    for cell in (_arg, _points):
        cells = [cell(own.get(method)) for method in facts.methods]
        best.append(best_of(cells, _counts(section, fair)))
        lines.append(["baseline" if m == facts.baseline else c for m, c in zip(facts.methods, cells, strict=True)])
    averages = ["ARG (%)", "mean difference (points)"]
    if facts.is_crowded:
        return Table(
            ["method", *(_with_metric(target, metric[target]) for target in section.targets), *averages],
            [[method, *cells] for method, *cells in zip(facts.methods, *lines, strict=True)],
            bold=frozenset((i, 1 + j) for j, places in enumerate(best) for i in places),
        )
    names = [_with_metric(target, metric[target]) for target in section.targets] + averages
    return Table(
        ["target", *facts.methods],
        [[name, *cells] for name, cells in zip(names, lines, strict=True)],
        bold=frozenset((i, 1 + j) for i, places in enumerate(best) for j in places),
        rules=frozenset({len(section.targets)}),
    )


def _with_metric(target: str, metric: str) -> str:
    return f"{target} ({metric})" if metric else target


def arg_table(report: Report) -> Table:
    """A row per method but the baseline, a column per setting: table 2 of Qin et al. (2023). Where the paper has
    numbers of these settings, they are below ours.
    """
    methods = [method for method in report.facts.methods if method != report.facts.baseline]
    own = [{row.method: row for row in section.gains} for section in report.sections]
    columns = [[_arg(found.get(method)) for method in methods] for found in own]
    rows: list[list[TableCell]] = [[method, *cells] for method, *cells in zip(methods, *columns, strict=True)]
    fair = [method for method in methods if not is_oracle(report.facts, method)]
    bold = {
        (i, 1 + j)
        for j, (cells, section) in enumerate(zip(columns, report.sections, strict=True))
        for i in best_of(cells, _counts(section, fair))
    }
    rules = set()
    if any(section.stated for section in report.sections):
        rules = {len(rows)}
        theirs = [[_stated(section, method) for method in methods] for section in report.sections]
        bold |= {(len(rows) + i, 1 + j) for j, cells in enumerate(theirs) for i in best_of(cells, [1] * len(cells))}
        rows += [[f"{method}, {PAPER}", *cells] for method, *cells in zip(methods, *theirs, strict=True)]
    return Table(
        ["method", *(section.setting.name for section in report.sections)],
        rows,
        bold=frozenset(bold),
        rules=frozenset(rules),
    )


def sure_table(report: Report, section: Section) -> Table:
    """How sure the differences are: a row for each method and what it is compared with, the difference in ARG and in
    points with their intervals, and p, where any row has these; beside those with the baseline the paper's ARG, where
    there is one.
    """
    backbones = dict.fromkeys(row.backbone for row in section.stated.values())
    theirs = [f"{PAPER}, {', '.join(backbones)}"] if backbones else []
    head = ["method", "against", "ARG difference (%)", *_TESTED, "points", _TESTED[0]]
    rows: list[list[TableCell]] = []
    for row in section.comparisons:
        cells: list[TableCell] = [row.method, row.other, f"{row.arg.mean:+.1f}", interval(row.arg), p_value(row.arg.p)]
        cells += [p_value(row.p_holm), f"{row.points.mean:+.1f}", interval(row.points)]
        if math.isnan(row.arg.mean):
            cells[2:] = ["undefined", "", "", "", *(cells[6:] if not math.isnan(row.points.mean) else ["missing", ""])]
        if theirs:
            cells.append(_stated(section, row.method) if row.other == report.facts.baseline else "")
        rows.append(cells)
    told = [j for j, name in enumerate([*head, *theirs]) if name not in _TESTED or any(row[j] for row in rows)]
    rows, head = [[row[j] for j in told] for row in rows], [[*head, *theirs][j] for j in told]
    first = next((i for i, row in enumerate(section.comparisons) if row.other != report.facts.baseline), 0)
    return Table(head, rows, texts=2, rules=frozenset({first} if first else ()))


def draw_table(facts: StudyFacts, section: Section) -> Table:
    """The mean difference in points of each draw, and the number of targets with a relative gain."""
    rows: list[list[TableCell]] = [
        [
            row.method,
            *(f"{row.points_by_draw[draw]:+.1f}" if draw in row.points_by_draw else "missing" for draw in facts.seeds),
            str(row.targets),
        ]
        for row in section.gains
    ]
    return Table(["method", *map(str, facts.seeds), "targets"], rows)


def pace_table(facts: StudyFacts, section: Section) -> Table | None:
    """The step by which half of a method's runs have reached each share of the baseline's dev score; none where the
    runs left no evaluations.
    """
    found = {(row.method, row.share): row for row in section.convergence.reached}
    there = {row.method for row in section.convergence.reached}
    methods = [method for method in facts.methods if method in there]
    rows: list[list[TableCell]] = []
    bold: set[tuple[int, int]] = set()
    most = max((row.runs for row in found.values()), default=0)
    for method in methods:
        steps = [found[method, share] for share in SHARES]
        cells = [str(row.step) if row.step is not None else f"> {section.convergence.last[method]}" for row in steps]
        rows.append([method, *cells, f"{steps[-1].there} of {steps[-1].runs}"])
    for j, share in enumerate(SHARES):
        taken = [(i, row.step) for i, m in enumerate(methods) if (row := found[m, share]).runs == most]
        least = min((step for _, step in taken if step is not None), default=None)
        bold |= {(i, 1 + j) for i, step in taken if step is not None and step == least}
    head = ["method", *(f"{share:.0%}" for share in SHARES), "runs that reach 100%"]
    return Table(head, rows, bold=frozenset(bold)) if rows else None


def interval(value: Estimate) -> str:
    """``-1.2 to +3.4``; empty if there is none."""
    return "" if math.isnan(value.low) else f"{value.low:+.1f} to {value.high:+.1f}"


def _arg(row: Gain | None) -> TableCell:
    return Measured(row.mean, row.std, signed=True) if row is not None else "missing"


def _points(row: Gain | None) -> TableCell:
    return Measured(row.points, math.nan, signed=True) if row is not None else "missing"


def _stated(section: Section, method: str) -> TableCell:
    row = section.stated.get(method)
    return Measured(row.mean, math.nan, signed=True) if row is not None else ""


def _counts(section: Section, methods: Sequence[str]) -> list[int]:
    """How many scores each has, a target in a draw being one."""
    return [len(section.places.get(method, ())) for method in methods]


def best_of(cells: Sequence[TableCell], counts: Sequence[int]) -> list[int]:
    """Where the highest is, of several equal ones all, among the first cells: those with as many scores as any."""
    found = {
        i: cell.mean
        for i, (cell, count) in enumerate(zip(cells, counts, strict=False))
        if isinstance(cell, Measured) and count == max(counts) and not math.isnan(cell.mean)
    }
    return [i for i, value in found.items() if value == max(found.values())]
