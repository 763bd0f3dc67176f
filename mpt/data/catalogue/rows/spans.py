"""Spans of a text that are the answer: by a tag for each word, or named one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mpt.data.catalogue.template import Row


def tagged(rows: Iterable[Row], *, tokens: str, tags: str, spans: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    """The rows with one span of each kind, and a column with its text, words with a space between.

    Rows where a kind has no span or several are left out.

    Args:
        tokens: column with the words.
        tags: column with a tag for each word.
        spans: by the name of the new column, the tag of a span's first word and that of its further ones.
    """
    for row in rows:
        words, marks = row[tokens], row[tags]
        if len(words) != len(marks):
            raise ValueError(f"{len(words)} words, but {len(marks)} tags")
        if all(list(marks).count(first) == 1 for first, _ in spans.values()):
            yield {**row, **{name: _text(words, marks, *kind) for name, kind in spans.items()}}


def named(
    rows: Iterable[Row], *, where: str, equals: str, spans: str, text: str, separator: str = " [SEP] "
) -> Iterator[Row]:
    """The rows with a certain word in a column, and the column ``named``, the texts of their spans in one.

    Args:
        where: column that says whether a row has spans.
        equals: its value in the rows that stay.
        spans: column with the list of spans.
        text: key of a span's text.
        separator: what stands between two of them.
    """
    for row in rows:
        if row[where] == equals:
            yield {**row, "named": separator.join(span[text] for span in row[spans])}


def _text(words: Sequence[str], tags: Sequence[Any], first: Any, further: Any) -> str:
    start = end = list(tags).index(first)
    while end + 1 < len(tags) and tags[end + 1] == further:
        end += 1
    return " ".join(words[start : end + 1])
