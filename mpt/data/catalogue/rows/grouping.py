"""Rows that belong together: those of one thing as one row, or in the order in which CrossFit read them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from mpt.data.catalogue.template import Field, Row


def merged(rows: Iterable[Row], *, by: Sequence[str], collect: str, unless: str = "") -> Iterator[Row]:
    """The first row of each group, groups in the order of their first rows, with the column ``collected``.

    Args:
        by: fields that are equal within a group, with filters after a colon.
        collect: field whose texts, in the order of the rows, are the list ``collected``; repeated ones stay.
        unless: rows whose collected text has this in it are left out.
    """
    key, given = [Field.of(name) for name in by], Field.of(collect)
    groups: dict[Hashable, tuple[Row, list[str]]] = {}
    for row in rows:
        text = given.text(row)
        if not unless or unless not in text:
            groups.setdefault(tuple(field.text(row) for field in key), (row, []))[1].append(text)
    return ({**row, "collected": texts} for row, texts in groups.values())


def ordered(rows: Iterable[Row], *, by: str, values: Sequence[Any] = ()) -> Iterator[Row]:
    """The rows of a split by a field, those in which it is equal as they came: a source may have been mixed since.

    Args:
        by: field, with filters after a colon.
        values: its values in the order that is meant, ValueError for another one; their own order if not given.
    """
    key = Field.of(by)
    return iter(sorted(rows, key=lambda row: values.index(key.value(row)) if values else key.value(row)))
