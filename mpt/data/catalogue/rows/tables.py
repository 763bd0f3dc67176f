"""A table, or what else is structured, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mpt.data.catalogue.filters import one_line
from mpt.data.catalogue.template import Field, Row


def facts(rows: Iterable[Row], *, names: str, values: str) -> Iterator[Row]:
    """The rows with the column ``facts``: ``name: value [n] `` for each line of a table, the last one included.

    Rows with more names than values, or fewer, are left out.

    Args:
        names: field with the list of names.
        values: field with the list of values, from which spaces around and line feeds are taken.
    """
    given, of_it = Field.of(names), Field.of(values)
    for row in rows:
        left, right = given.text(row), of_it.text(row)
        if len(left) == len(right):
            lines = (f"{name}: {one_line(value.strip())} [n] " for name, value in zip(left, right, strict=True))
            yield {**row, "facts": "".join(lines)}


def tuples(rows: Iterable[Row], *, items: str) -> Iterator[Row]:
    """The rows with the column ``tuples``, as ``subject : relation : object | subject : relation : object``.

    Args:
        items: field with the list of tuples, each a list of texts.
    """
    given = Field.of(items)
    for row in rows:
        yield {**row, "tuples": " | ".join(" : ".join(parts) for parts in given.text(row))}


def acts(rows: Iterable[Row], *, items: str, names: Sequence[str]) -> Iterator[Row]:
    """The rows with the column ``acts``, what a turn of a dialogue is to say, as ``REQUEST(city) INFORM(price=low)``.

    Args:
        items: field with the list of acts, each with the number ``act``, the text ``slot`` and the list ``values``.
        names: of the acts, by number.
    """
    given = Field.of(items)
    for row in rows:
        yield {**row, "acts": " ".join(_act(act, names) for act in given.value(row))}


def _act(act: Row, names: Sequence[str]) -> str:
    slot, values = act["slot"] or "", ", ".join(act["values"])
    return f"{names[act['act']]}({slot}{'=' if slot and values else ''}{values})"
