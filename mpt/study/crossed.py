"""The mean of an effect over crossed random factors, targets and draws, with an interval and a test.

Variance components by mean squares, degrees of freedom by Satterthwaite (1946).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

METHOD = "targets and draws are crossed random factors; variances by mean squares, degrees of freedom by Satterthwaite."


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and two-sided p for zero; NaN, and ``why``, where neither would be honest."""

    mean: float
    low: float
    high: float
    p: float
    why: str = ""


def crossed_mean(effects: NDArray[np.float64]) -> Estimate:
    """Of effects ``[T, D]`` or ``[T, D, U]``, NaN where missing."""
    values = effects if effects.ndim == 3 else effects[:, :, None]
    if not values.size or np.isnan(values).all():
        return Estimate(math.nan, math.nan, math.nan, math.nan, "there is nothing to compare")
    table = np.nanmean(values, axis=2)
    t, d = table.shape
    mean = float(np.nanmean(np.nanmean(table, axis=1)))
    if t < 4 or d < 3:
        return Estimate(mean, math.nan, math.nan, math.nan, "fewer than four targets or three draws are too few")
    if np.isnan(table).any():
        table = np.where(np.isnan(table), np.nanmean(table, axis=1, keepdims=True), table)
    rows, columns = table.mean(1), table.mean(0)
    squares = d * rows.var(ddof=1), t * columns.var(ddof=1)
    rest = ((table - rows[:, None] - columns[None] + mean) ** 2).sum() / ((t - 1) * (d - 1))
    variance = max(squares[0] + squares[1] - rest, *squares) / (t * d)
    if variance < 1e-18:
        return Estimate(mean, mean, mean, 1.0 if abs(mean) < 1e-9 else 0.0)
    df = max(1.0, (variance * t * d) ** 2 / (squares[0] ** 2 / (t - 1) + squares[1] ** 2 / (d - 1) + 1e-300))
    error = math.sqrt(variance)
    half = float(stats.t.ppf(0.975, df)) * error
    return Estimate(mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, df)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for all of them (Holm 1979); NaN stays and does not count."""
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    adjusted, highest = list(p_values), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted
