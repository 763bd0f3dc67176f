"""Committed results and the tables of the pages that show them."""

from __future__ import annotations

import csv
import itertools

from support.paths import ROOT


def committed(*place: str) -> list[dict[str, str]]:
    """The rows of a CSV file below experiments/results."""
    text = ROOT.joinpath("experiments/results", *place).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def rows_below(page: str, head: str) -> list[list[str]]:
    """The cells of the rows of the table that begins so."""
    lines = page.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith(head))
    shown = itertools.takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown]
