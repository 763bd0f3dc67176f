"""How fast each initialisation gets where, drawn: dev score against steps, and steps to shares of the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mpt.present.bars import WIDTH, Bar, Chart, fill_bars, legend
from mpt.present.figure_style import bare, new_figure, save
from mpt.study.scores.convergence import SHARES, Convergence


def draw_convergence(
    path: Path, found: Convergence, methods: Sequence[str], baseline: str, colours: Mapping[str, str], title: str
) -> None:
    """Draw both, the first above the second; write a PNG.

    Args:
        methods: in the order of the legend; those without evaluations are left out.
        colours: by method.
    """
    shown = [method for method in methods if method in found.last]
    figure = new_figure(WIDTH, 5.2 + len(SHARES) * max(0.34, 0.2 * len(shown)))
    above, below = figure.subplots(2, 1, height_ratios=[3, 0.9 + len(SHARES) * max(0.34, 0.2 * len(shown))])
    figure.suptitle(title, fontsize=11)
    for method in shown:
        points = [point for point in found.points if point.method == method]
        steps = [point.step for point in points]
        means = np.array([100 * point.mean for point in points])
        deviations = np.array([100 * point.std for point in points])
        above.plot(
            steps,
            means,
            color=colours[method],
            linewidth=2,
            linestyle="--" if method == baseline else "-",
            marker="o" if len(steps) <= 20 else None,
            markersize=4,
        )
        if not np.isnan(deviations).all():
            above.fill_between(steps, means - deviations, means + deviations, color=colours[method], alpha=0.1, lw=0)
    above.set_xlabel("steps on the target task")
    above.set_ylabel("dev score so far (%)")
    bare(above, "both")
    last = max(found.last.values())
    above.set_xlim(0, 1.02 * last)
    rows = {(row.method, row.share): row for row in found.reached}
    bars = {
        method: [
            Bar(row.step if (row := rows[method, share]).step is not None else np.nan, note="not reached by half")
            if (method, share) in rows
            else Bar()
            for share in SHARES
        ]
        for method in shown
    }
    label = f"steps by which half of the runs reach that share of {baseline}'s final dev score"
    fill_bars(below, Chart("", label, [f"{share:.0%}" for share in SHARES], bars), colours)
    below.set_xlim(0, 1.02 * last)
    legend(figure, below)
    save(figure, path)
