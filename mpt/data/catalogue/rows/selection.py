"""Rows that CrossFit leaves out: labels it does not know, empty texts, ratings between two classes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from mpt.data.catalogue.template import Field, Row


def without(rows: Iterable[Row], *, column: str, values: Collection[Any]) -> Iterator[Row]:
    """The rows that do not have one of some values in a column, as -1 for a label that nobody gave."""
    return (row for row in rows if row[column] not in values)


def only(rows: Iterable[Row], *, column: str, values: Collection[Any]) -> Iterator[Row]:
    """The rows that have one of some values in a column, as the name of a part of several data sets in one."""
    return (row for row in rows if row[column] in values)


def filled(rows: Iterable[Row], *, text: str) -> Iterator[Row]:
    """The rows in which a text is not empty.

    Args:
        text: field, with filters after a colon, ``text:clean``; they come first.
    """
    given = Field.of(text)
    return (row for row in rows if given.text(row))


def whole(rows: Iterable[Row], *, number: str) -> Iterator[Row]:
    """The rows in which a number, a field, has no decimals: a mean of ratings that is a rating itself."""
    given = Field.of(number)
    return (row for row in rows if given.value(row) % 1 == 0)


def binarised(rows: Iterable[Row], *, rating: str, below: float, above: float) -> Iterator[Row]:
    """Ratings as two classes: the rows with the column ``above``, False or True, without those in between.

    CrossFit's bounds meet ratings that are 32-bit floats, where 0.6 is a little more than the bound of 0.6 and 0.4 is
    no less than that of 0.4; ratings of another precision are rounded to theirs, or the same rows would not stay.

    Args:
        rating: field with a number.
        below: the rows with a smaller rating have False.
        above: the rows with a larger rating have True.
    """
    given = Field.of(rating)
    for row in rows:
        value = float(np.float32(given.value(row)))
        if value < below or value > above:
            yield {**row, "above": value > above}
