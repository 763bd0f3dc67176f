"""Quality and language of answers that were not learned, against the steps of learning, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mpt.present.figure_style import bare, new_figure, save
from mpt.study.scores.languages import LanguagePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT_OUT = "empty"


def draw_languages(
    path: Path,
    points: Sequence[LanguagePoint],
    methods: Sequence[str],
    baseline: str,
    colours: Mapping[str, str],
    title: str,
) -> None:
    """A row of panels for each task that is asked by what is learned, a panel for each measure; write a PNG.

    Args:
        methods: in the order of the legend.
        colours: by method.
    """
    rows = list(dict.fromkeys((point.target, point.task) for point in points))
    measures = [name for name in dict.fromkeys(point.measure for point in points) if name != _LEFT_OUT]
    figure = new_figure(1.2 + 2.7 * len(measures), 1.4 + 2.4 * len(rows))
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(len(rows), len(measures), squeeze=False, sharex=True)
    for i, place in enumerate(rows):
        for j, measure in enumerate(measures):
            axes = panels[i][j]
            for method in methods:
                own = [
                    point
                    for point in points
                    if (point.method, point.target, point.task, point.measure) == (method, *place, measure)
                ]
                _curve(axes, own, colours[method], "--" if method == baseline else "-", method)
            axes.set_ylim(-2, 102)
            bare(axes, "both")
            if not i:
                axes.set_title(measure, fontsize=10)
            if i == len(rows) - 1:
                axes.set_xlabel("steps")
        target, task = place
        panels[i][0].set_ylabel(f"{task}\nby {target} (%)" if len({one for one, _ in rows}) > 1 else f"{task} (%)")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    save(figure, path)


def _curve(axes: Axes, points: Sequence[LanguagePoint], colour: str, style: str, name: str) -> None:
    steps = [point.step for point in points]
    means = np.array([100 * point.mean for point in points])
    deviations = np.array([100 * point.std for point in points])
    axes.plot(steps, means, color=colour, linewidth=1.8, linestyle=style, label=name)
    if len(points) and not np.isnan(deviations).all():
        band = (means - deviations, means + deviations)
        axes.fill_between(steps, *band, color=colour, alpha=0.1, lw=0)
