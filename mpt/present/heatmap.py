"""A number for every pair of two settings, such as ARG over inner and outer learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mpt.present.figure_style import new_figure, save


def draw_heatmap(
    path: Path,
    rows: Sequence[float | str],
    columns: Sequence[float | str],
    values: Sequence[Sequence[float]],
    row_name: str,
    column_name: str,
    title: str,
    value_name: str = "ARG (%)",
    framed: Literal["best", "column"] = "best",
    reach: float | None = None,
) -> None:
    """Draw one field per pair, its number in it, the best framed; write a PNG.

    Args:
        rows: what each row stands for, from the bottom up.
        columns: what each column stands for, from the left.
        values: [rows, columns]; NaN for a pair without a result. Zero is white, what is above it blue, what is below
            it orange.
        row_name: label of the vertical axis.
        column_name: label of the horizontal axis.
        value_name: label of the colour bar.
        framed: the ``best`` of all, or of each ``column``.
        reach: what is as far from zero, or farther, has the full colour; the largest value if not given.

    Raises:
        ValueError: the values are not of that shape, or there are none.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    if not rows or not columns or len(values) != len(rows) or any(len(line) != len(columns) for line in values):
        shape = f"{len(values)} rows of {sorted({len(line) for line in values})}"
        raise ValueError(f"values must be {len(rows)} rows of {len(columns)}, not {shape}")
    found = [value for line in values for value in line if not math.isnan(value)]
    best = [max(found, default=math.nan)] * len(columns)
    if framed == "column":
        best = [max((v for v in column if not math.isnan(v)), default=math.nan) for column in zip(*values, strict=True)]
    most = max((abs(value) for value in found), default=0.0) or 1.0
    reach = min(reach, most) if reach else most
    colours = LinearSegmentedColormap.from_list("orange-white-blue", ["#D55E00", "#ffffff", "#0072B2"])
    # Few rows are high; those of a matrix of tasks need only hold a number.
    high = 0.62 if len(rows) < 8 else 0.36
    width, height = 2.6 + 0.9 * max(3, len(columns)), 1.7 + high * max(3, len(rows))
    beside, below = (max(len(_label(value)) for value in labels) for labels in (rows, columns))
    figure = new_figure(width + 0.07 * max(0, beside - 8), height + 0.05 * max(0, below - 8))
    axes = figure.subplots()
    picture = axes.imshow(
        values, cmap=colours.with_extremes(bad="#eeeeee"), vmin=-reach, vmax=reach, aspect="auto", origin="lower"
    )
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            text = "no result" if math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}"
            dark = not math.isnan(value) and abs(value) > 0.6 * reach
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=7 if math.isnan(value) else 9,
                color="white" if dark else "black" if not math.isnan(value) else "#666666",
            )
            if value == best[j]:
                axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, edgecolor="black", linewidth=2))
    slanted = max(len(_label(value)) for value in columns) > 11
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(len(columns)), [_label(value) for value in columns], **turned)
    axes.set_yticks(range(len(rows)), [_label(value) for value in rows])
    axes.set_xlabel(column_name)
    axes.set_ylabel(row_name)
    axes.set_title(title, fontsize=11)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    beyond: Any = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        min(found, default=0) < -reach, max(found, default=0) > reach
    ]
    figure.colorbar(picture, ax=axes, label=value_name, shrink=0.9, extend=beyond)
    save(figure, path)


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
