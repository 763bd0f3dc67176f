"""The study's figure: relative gain per target."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpt.study.tables import Gain

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")


def draw_gains(
    path: Path,
    gained: Mapping[str, Mapping[str, tuple[float, float]]],
    rows: Sequence[Gain],
    baseline: str,
    title: str,
) -> None:
    """Draw horizontal bars, grouped by target, with the deviation over seeds; write a PNG.

    Args:
        gained: from :func:`mpt.study.tables.target_gains`.
        rows: from :func:`mpt.study.tables.gains`, for the group of averages at the bottom.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    methods = list(gained)
    targets = list(dict.fromkeys(target for values in gained.values() for target in values))
    groups = [*targets, "average (ARG)"]
    averages = {row.method: (row.mean, row.std) for row in rows}
    height = 0.8 / max(1, len(methods))
    # An inch per four bars, and room for title and axis.
    figure = Figure(figsize=(8, 1.6 + len(groups) * max(0.34, 0.2 * len(methods))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, method in enumerate(methods):
        values = [gained[method].get(target, (math.nan, math.nan)) for target in targets] + [averages[method]]
        places = [group + (i - (len(methods) - 1) / 2) * height for group in range(len(groups))]
        axes.barh(
            places,
            [_or_zero(mean) for mean, _ in values],
            height * 0.92,
            xerr=[_or_zero(std) for _, std in values],
            color=COLOURS[i % len(COLOURS)],
            label=method,
            error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": "#444444"},
        )
        for place, (mean, _) in zip(places, values, strict=True):
            if math.isnan(mean):
                axes.text(0, place, " no result", va="center", fontsize=7, color="#666666")
    axes.axvline(0, color="black", linewidth=0.9)
    axes.axhspan(len(targets) - 0.5, len(targets) + 0.5, color="#f0f0f0", zorder=0)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel(f"relative gain over {baseline} (%), mean and deviation over seeds")
    axes.set_title(title, fontsize=11)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if methods:
        axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.write_bytes(buffer.getvalue())
    os.replace(fresh, path)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
