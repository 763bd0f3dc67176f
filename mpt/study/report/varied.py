"""Scores against an option that a study varies, as a table and as curves: the ablations of Lester et al. (2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpt.present.figure_style import COLOURS, bare, new_figure, save
from mpt.present.table import Measured, Table, TableCell
from mpt.study.scores.languages import Place
from mpt.study.scores.varied import VariedScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READING = (
    "Test scores in percent, mean over targets and draws ± deviation over the draws of the means over targets, for "
    "each value of the option that varies."
)


def varied_table(rows: Sequence[VariedScore]) -> Table:
    """A row for each family of methods, a column for each value."""
    values = sorted({row.value for row in rows})
    found = {(row.family, row.value): Measured(row.mean, row.std) for row in rows}
    families = list(dict.fromkeys(row.family for row in rows))
    lines: list[list[TableCell]] = [
        [name, *(found.get((name, value), "missing") for value in values)] for name in families
    ]
    best = {value: max(row.mean for row in rows if row.value == value) for value in values}
    bold = {
        (i, 1 + j)
        for i, name in enumerate(families)
        for j, value in enumerate(values)
        if (name, value) in found and found[name, value].mean == best[value]
    }
    return Table([rows[0].option, *(f"{value:g}" for value in values)], lines, bold=frozenset(bold))


def draw_varied(path: Path, rows: Sequence[VariedScore], title: str, spread: str) -> None:
    """A curve for each family, the values side by side at equal distances; write a PNG."""
    figure = new_figure(7.2, 4.2)
    axes = figure.subplots()
    _fill(axes, rows)
    axes.set_ylabel(f"test score (%){spread}")
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False)
    save(figure, path)


def draw_capacity(path: Path, found: Mapping[Place, Sequence[VariedScore]], title: str) -> None:
    """The same of answers in other languages, a row of panels for each task that is asked by what is learned, a panel
    for each measure; write a PNG. Vu et al. (2022) find quality best at some length and worse behind longer prompts.
    """
    asked = list(dict.fromkeys((target, task) for target, task, _ in found))
    measures = list(dict.fromkeys(measure for _, _, measure in found))
    figure = new_figure(1.2 + 2.7 * len(measures), 1.4 + 2.4 * len(asked))
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(len(asked), len(measures), squeeze=False)
    for (target, task), row in zip(asked, panels, strict=True):
        for measure, axes in zip(measures, row, strict=True):
            if rows := found.get((target, task, measure)):
                _fill(axes, rows)
            axes.set_title(measure, fontsize=10)
        row[0].set_ylabel(f"{task}\nby {target} (%)")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    save(figure, path)


def _fill(axes: Axes, rows: Sequence[VariedScore]) -> None:
    values = sorted({row.value for row in rows})
    for place, family in enumerate(dict.fromkeys(row.family for row in rows)):
        own = sorted((row for row in rows if row.family == family), key=lambda row: row.value)
        colour, x = COLOURS[place % len(COLOURS)], [values.index(row.value) for row in own]
        means, deviations = [row.mean for row in own], [row.std for row in own]
        axes.errorbar(x, means, yerr=deviations, color=colour, marker="o", markersize=5, capsize=3, label=family)
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlabel(rows[0].option)
    bare(axes, "y")
