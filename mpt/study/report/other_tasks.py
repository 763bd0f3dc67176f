"""What was learned on one task, tested on others without learning on them: table 1 of Lester et al. (2021)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from mpt.present.table import Measured, Table, TableCell
from mpt.study.report.contents import Report, Section
from mpt.study.report.tables import best_of
from mpt.study.scores.oracle import is_oracle
from mpt.study.scores.other_tasks import ScoreElsewhere, scores_elsewhere
from mpt.study.scores.scores import mean_std

COLUMNS = ("method", "trained_on", "tested_on", "seed", "metric", "score", "folder")

READING = (
    "What was best on dev of the task that was learned on, tested on the task itself and on others without learning "
    "on them; scores in percent, mean ± deviation over the draws. The last columns hold the difference in points, "
    "paired by draw, and its deviation."
)


def elsewhere(report: Report, section: Section) -> list[ScoreElsewhere]:
    """The scores on other tasks of a setting's chosen runs, and those on the tasks that they were learned on."""
    # Each prompt was tested by itself: nobody knows how several would have voted.
    alone = [row for row in section.scores if row.method not in report.facts.ensembles]
    return scores_elsewhere(alone, report.records)


def elsewhere_table(report: Report, section: Section) -> Table | None:
    """A row for each task that was learned on and each that it was tested on, the baseline's difference to each other
    method last; None if nothing was tested on other tasks.
    """
    rows = elsewhere(report, section)
    if not rows:
        return None
    facts = report.facts
    others = [method for method in facts.methods if method != facts.baseline]
    own: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for row in rows:
        by_seed = own.setdefault((row.trained_on, row.tested_on, row.method), {})
        by_seed.setdefault(row.seed, []).append(100 * row.score)
    lines: list[list[TableCell]] = []
    bold, rules = set(), set()
    places = list(dict.fromkeys((row.trained_on, row.tested_on, row.metric) for row in rows))
    for i, (trained, tested, metric) in enumerate(places):
        found = {method: _by_seed(own.get((trained, tested, method), {})) for method in facts.methods}
        cells = [Measured(*mean_std(list(found[method].values()))) for method in facts.methods]
        fair = [len(found[method]) for method in facts.methods if not is_oracle(facts, method)]  # the others come last
        bold |= {(i, 2 + j) for j in best_of(cells, fair)}
        differences = [_difference(found[facts.baseline], found[other]) for other in others]
        lines.append([trained, f"{tested} ({metric})", *map(_shown, cells), *map(_shown, differences)])
        rules |= {i} if i and trained != places[i - 1][0] else set()
    head = ["trained on", "tested on", *facts.methods, *(f"{facts.baseline} − {other}" for other in others)]
    return Table(head, lines, texts=2, bold=frozenset(bold), rules=frozenset(rules))


def elsewhere_rows(report: Report) -> tuple[list[str], list[list[Any]]]:
    """One row per setting, method, task that was learned on, task that was tested on, and seed."""
    rows = [
        [section.setting.name, *(getattr(row, name) for name in COLUMNS)]
        for section in report.sections
        for row in elsewhere(report, section)
    ]
    return ["partition", *COLUMNS], rows


def _by_seed(scores: dict[int, list[float]]) -> dict[int, float]:
    return {seed: statistics.fmean(found) for seed, found in scores.items()}


def _difference(ours: dict[int, float], theirs: dict[int, float]) -> Measured:
    pairs: Sequence[float] = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    return Measured(*mean_std(pairs), signed=True)


def _shown(cell: Measured) -> TableCell:
    return "missing" if math.isnan(cell.mean) else cell
