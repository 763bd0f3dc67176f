"""Rows that stand twice, rows that two splits share, and a split that is taken from another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mpt.data.tables.rows import RowTable, TaskRow, lines


def without_repeats(table: RowTable, told: list[str]) -> list[TaskRow]:
    """Each record once, and a word on inputs that have several outputs."""
    first: dict[tuple[str, str], TaskRow] = {}
    repeated = []
    for row in table.rows:
        if first.setdefault((row.input, row.output), row) is not row:
            repeated.append(row.line)
    if repeated:
        told.append(f"{table.file.name}: the same record again, left out: {lines(repeated)}")
    rows = list(first.values())
    counts = Counter(row.input for row in rows)
    if torn := [row.line for row in rows if counts[row.input] > 1]:
        told.append(f"{table.file.name}: one input with different outputs, which cannot all be right: {lines(torn)}")
    return rows


def without_inputs_of(dev: RowTable, rows: Sequence[TaskRow], name: str, told: list[str]) -> list[TaskRow]:
    """Train without the inputs of dev, so that dev tells what was learned and not what was remembered.

    Args:
        rows: train's.
        name: of train's file.
    """
    if shared := lines_shared(rows, dev.rows):
        told.append(f"{name}: inputs that are in {dev.file.name} too, left out of training: {lines(shared)}")
    inputs = {row.input for row in dev.rows}
    return [row for row in rows if row.input not in inputs]


def tell_shared(test: RowTable, parts: dict[str, Sequence[TaskRow]], told: list[str]) -> None:
    """A word on inputs of test that other splits have too.

    Args:
        parts: the others by name.
    """
    for part, rows in parts.items():
        if shared := lines_shared(test.rows, rows):
            told.append(
                f"{test.file.name}: inputs that are in {part} too, so that the test score is too good: {lines(shared)}"
            )


def lines_shared(rows: Sequence[TaskRow], others: Sequence[TaskRow]) -> list[int]:
    """Lines of the rows whose inputs others have too."""
    inputs = {row.input for row in others}
    return [row.line for row in rows if row.input in inputs]


def places_of_share(rows: Sequence[TaskRow], share: float, seed: Sequence[int], by_label: bool) -> set[int]:
    """Places of the rows that a share takes, of each label as large a one; no label loses all its rows.

    Args:
        by_label: whether outputs are labels.
    """
    rng = np.random.default_rng(tuple(seed))
    counts = Counter(row.input for row in rows)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[row.output if by_label else ""].append(place)
    chosen: set[int] = set()
    for places in groups.values():
        # An input that has several outputs stays where it is, for it must not be in both.
        free = [place for place in places if counts[rows[place].input] == 1]
        wanted = min(max(1, round(share * len(places))), len(places) - 1, len(free))
        chosen.update(rng.permutation(free)[:wanted].tolist() if wanted else ())
    return chosen
