"""A table as cells, the same for the terminal, Markdown, HTML and LaTeX."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A mean and its deviation; ``71.2 ± 3.4``, without the deviation where there is none (NaN)."""

    mean: float
    std: float
    signed: bool = False

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "undefined"
        return self.number if math.isnan(self.std) else f"{self.number} ± {self.std:.1f}"

    @property
    def number(self) -> str:
        """The mean alone."""
        return f"{self.mean:+.1f}" if self.signed else f"{self.mean:.1f}"


TableCell = str | Measured


@dataclass(frozen=True)
class Table:
    """Head and rows.

    Attributes:
        texts: how many of the first columns hold texts, which stand to the left.
        bold: (row, column) of the best.
        rules: rows before which a line is drawn.
    """

    head: list[str]
    rows: list[list[TableCell]]
    texts: int = 1
    bold: frozenset[tuple[int, int]] = frozenset()
    rules: frozenset[int] = frozenset()


def p_value(p: float) -> str:
    """Three digits at most, and never zero; empty if there is none."""
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
