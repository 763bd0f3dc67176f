"""Every source task to every target task: relative error reduction (SPoT, section 3.1, figure 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.analysis.transfers import Transfers, error_reduction, mean
from mpt.present.heatmap import draw_heatmap
from mpt.present.table import Table, TableCell

COLUMNS = ["source", "target", "error_reduction", "score", "baseline", "similarity", "runs"]
"""Of a CSV file: attributes of a :class:`Transfer`."""


@dataclass(frozen=True)
class Transfer:
    """From one source to one target, over all seeds that the baseline has too.

    Attributes:
        source: a task, or a single prompt.
        score, baseline: mean test scores of transfer and baseline, from 0 to 1.
        similarity: mean over the runs.
        runs: how many.
    """

    source: str
    target: str
    score: float
    baseline: float
    similarity: float
    runs: int

    @property
    def error_reduction(self) -> float:
        """Relative error reduction in percent, of the mean scores, as SPoT's is; NaN if the baseline is at 100 %."""
        return error_reduction(self.score, self.baseline)


def transfers_by(transfers: Transfers, kind: str = "task") -> list[Transfer]:
    """The mean of all runs of each source and target.

    Args:
        kind: ``task``: all prompts of a source task together; ``source``: each prompt alone.
    """
    groups: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for trial in transfers.trials:
        base = transfers.base[trial.target, trial.seed]
        row = (trial.score, base, trial.similarity)
        groups.setdefault((getattr(trial, kind), trial.target), []).append(row)
    found = []
    for source in transfers.tasks if kind == "task" else transfers.sources:
        for target in transfers.targets:
            if rows := groups.get((source, target)):
                score, base, similarity = (mean(values) for values in zip(*rows, strict=True))
                found.append(Transfer(source, target, score, base, similarity, len(rows)))
    return found


def matrix(transfers: Transfers) -> tuple[list[str], list[str], list[list[float]]]:
    """Source tasks, target tasks, and the relative error reduction in percent from each to each (NaN without a run).

    The sources that help most on average come first.
    """
    found = {(row.source, row.target): row.error_reduction for row in transfers_by(transfers)}
    lines = {
        source: [found.get((source, target), math.nan) for target in transfers.targets] for source in transfers.tasks
    }
    order = sorted(lines, key=lambda source: (-_average(lines[source]), source))
    return order, transfers.targets, [lines[source] for source in order]


def matrix_table(transfers: Transfers) -> Table:
    """A row per source task, a column per target, the best source of each target in bold; the average as last column,
    the baseline's score as last row.
    """
    sources, targets, values = matrix(transfers)
    columns = [*zip(*values, strict=True), [_average(line) for line in values]]
    bold = {(i, 1 + j) for j, column in enumerate(columns) for i in _best(column)}
    rows: list[list[TableCell]] = [
        [source, *map(_percent, line), _percent(_average(line))] for source, line in zip(sources, values, strict=True)
    ]
    bases = [mean([score for (name, _), score in transfers.base.items() if name == target]) for target in targets]
    rows.append([f"{transfers.baseline}'s score (%)", *(f"{100 * base:.1f}" for base in (*bases, mean(bases)))])
    return Table(["source", *targets, "average"], rows, bold=frozenset(bold), rules=frozenset({len(sources)}))


def draw_matrix(path: Path, transfers: Transfers) -> None:
    """SPoT's figure 3: blue where transfer helps, orange where it harms; the best source of each target is framed."""
    sources, targets, values = matrix(transfers)
    draw_heatmap(
        path,
        sources[::-1],  # the first at the top
        targets,
        values[::-1],
        "source",
        "target",
        f"{transfers.study}: relative error reduction over {transfers.baseline}",
        "relative error reduction (%)",
        framed="column",
        reach=100,  # no more can be gained; a transfer that doubles the errors is as dark as one that leaves none
    )


def _average(values: Sequence[float]) -> float:
    return mean([value for value in values if not math.isnan(value)])


def _best(values: Sequence[float]) -> list[int]:
    there = [value for value in values if not math.isnan(value)]
    return [i for i, value in enumerate(values) if there and value == max(there)]


def _percent(value: float) -> str:
    return "missing" if math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}"
