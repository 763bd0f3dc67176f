"""Answers that lie deeper in a row than a template reaches, and sentences with the answer masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mpt.data.catalogue.template import Field, Row, Template


def gathered(rows: Iterable[Row], *, items: str, text: str, empty: bool = True) -> Iterator[Row]:
    """The rows with the column ``gathered``, one text of each item in a list, repeated ones too.

    Args:
        items: field with the list, of mappings.
        text: key of an item's text, or of its texts in a list or a list of lists.
        empty: whether empty texts stay.
    """
    given = Field.of(items)
    for row in rows:
        texts = [one for item in given.value(row) for one in _flat(item[text])]
        yield {**row, "gathered": [one for one in texts if one or empty]}


def masked(rows: Iterable[Row], *, text: str, places: Mapping[str, str]) -> Iterator[Row]:
    """The rows with the column ``masked``, a text whose placeholders are filled in.

    Args:
        text: field with the text.
        places: by placeholder, a template of what stands in each place of it; filled in one after the other.
    """
    given = Field.of(text)
    fillings = {place: Template.of(filling) for place, filling in places.items()}
    for row in rows:
        sentence = given.text(row)
        for place, filling in fillings.items():
            sentence = sentence.replace(place, filling.render(row))
        yield {**row, "masked": sentence}


def worded(rows: Iterable[Row], *, items: str, words: Sequence[str]) -> Iterator[Row]:
    """The rows with the column ``worded``, the words of several labels.

    Args:
        items: field with the list of labels, numbers from 0.
        words: word by number. IndexError for a number that has none.
    """
    given = Field.of(items)
    for row in rows:
        numbers = given.value(row)
        if wrong := [number for number in numbers if not 0 <= number < len(words)]:
            raise IndexError(f"label {wrong[0]} among {len(words)} words")
        yield {**row, "worded": [words[number] for number in numbers]}


def _flat(value: Any) -> Iterator[str]:
    if value is None:
        raise ValueError("an answer is null")
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _flat(one)
    else:
        yield value
