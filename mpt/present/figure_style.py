"""What all figures share: colours, paper, and being written whole."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mpt.util.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
BASELINE = "#999999"


def colours(methods: Sequence[str], baseline: str) -> dict[str, str]:
    """A colour for each method, the same in every figure of a study."""
    others = [method for method in methods if method != baseline]
    return {baseline: BASELINE} | {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(others)}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def bare(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Only the frame that carries numbers, and a grid."""
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a whole PNG file or nothing."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    with replacing(path) as fresh:
        fresh.write_bytes(buffer.getvalue())
