"""Bars of every method, grouped by target or by setting: figures 4 to 23 of Qin et al. (2023) are of this kind."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpt.present.figure_style import bare, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.2
"""Of every figure, in inches."""

UNDEFINED = "undefined: no score of the baseline above 0"
NOTHING = "no result"


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        value: its length; NaN if there is none.
        std: its deviation; NaN if there is none.
        note: what stands in its place if it has no length.
        beside: another's number of the same, drawn as a mark.
    """

    value: float = math.nan
    std: float = math.nan
    note: str = NOTHING
    beside: float | None = None


@dataclass(frozen=True)
class Chart:
    """What is drawn.

    Attributes:
        groups: from above down.
        bars: method to its bar in each group.
        shaded: groups that are set apart.
        beside: what the marks are, in the legend.
    """

    title: str
    label: str
    groups: Sequence[str]
    bars: Mapping[str, Sequence[Bar]]
    shaded: Sequence[int] = field(default=())
    beside: str = ""


def draw_bars(path: Path, chart: Chart, colours: Mapping[str, str]) -> None:
    """Draw horizontal bars with their deviation; write a PNG.

    Args:
        colours: by method.
    """
    # An inch per four bars, and room for title, legend and axis.
    figure = new_figure(WIDTH, 1.9 + len(chart.groups) * max(0.34, 0.2 * len(chart.bars)))
    axes = figure.subplots()
    figure.suptitle(chart.title, fontsize=11)
    fill_bars(axes, chart, colours)
    if len(chart.bars) > 1:
        legend(figure, axes)
    save(figure, path)


def fill_bars(axes: Axes, chart: Chart, colours: Mapping[str, str]) -> None:
    """The same into a part of a figure."""
    height = 0.8 / max(1, len(chart.bars))
    for i, (method, bars) in enumerate(chart.bars.items()):
        places = [group + (i - (len(chart.bars) - 1) / 2) * height for group in range(len(chart.groups))]
        lengths = [0.0 if math.isnan(bar.value) else bar.value for bar in bars]
        axes.barh(places, lengths, height * 0.92, color=colours[method], label=method)
        spread = [(length, place, bar.std) for length, place, bar in zip(lengths, places, bars, strict=True)]
        if spread := [each for each in spread if not math.isnan(each[2])]:
            x, y, std = zip(*spread, strict=True)
            axes.errorbar(x, y, xerr=std, fmt="none", elinewidth=0.9, capsize=2, ecolor="#444444")
        for place, bar in zip(places, bars, strict=True):
            if math.isnan(bar.value):
                # Where another's number is shown, after its mark.
                begin, gap = (0.0, " ") if bar.beside is None else (max(0.0, bar.beside), "    ")
                axes.text(begin, place, gap + bar.note, va="center", fontsize=7, color="#666666")
    marks = [
        (bar.beside, group + (i - (len(chart.bars) - 1) / 2) * height)
        for i, bars in enumerate(chart.bars.values())
        for group, bar in enumerate(bars)
        if bar.beside is not None
    ]
    if marks:
        x, y = zip(*marks, strict=True)
        axes.scatter(x, y, marker="D", s=22, color="white", edgecolor="black", zorder=5, label=chart.beside)
    axes.axvline(0, color="black", linewidth=0.9)
    for group in chart.shaded:
        axes.axhspan(group - 0.5, group + 0.5, color="#f0f0f0", zorder=0)
    # Above a bar of its own a name has a single line's height.
    names = [_lines(group) if len(chart.bars) > 1 else group for group in chart.groups]
    axes.set_yticks(range(len(chart.groups)), names)
    axes.set_ylim(len(chart.groups) - 0.5, -0.5)
    bare(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(chart.label)


def legend(figure: Figure, axes: Axes) -> None:
    """Below the figure, where it hides nothing."""
    handles, names = axes.get_legend_handles_labels()
    if names:
        # Matplotlib hands out marks before bars.
        order = sorted(range(len(names)), key=lambda i: not hasattr(handles[i], "patches"))
        figure.legend(
            [handles[i] for i in order],
            [names[i] for i in order],
            loc="outside lower center",
            # An eleventh of an inch for a letter, and half of one for the patch of colour.
            ncols=max(1, min(len(names), int(WIDTH / (0.5 + 0.09 * max(map(len, names)))))),
            frameon=False,
        )


def _lines(name: str) -> str:
    """A long name in lines of at most about 24 letters, broken after a hyphen or an underscore."""
    lines = [""]
    for part in re.findall(r"[^-_ \n]*[-_ \n]|[^-_ \n]+", name):
        if len(lines[-1]) + len(part) > 24 and lines[-1]:
            lines.append("")
        lines[-1] += part.rstrip("\n")
        if part.endswith("\n"):
            lines.append("")
    return "\n".join(lines)
