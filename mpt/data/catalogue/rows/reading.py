"""Questions about a passage: which passages, which questions, and several right candidates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from mpt.data.catalogue.filters import spaced
from mpt.data.catalogue.rows.choices import lettered
from mpt.data.catalogue.template import Field, Row


def supporting(rows: Iterable[Row], *, titles: str, sentences: str, facts: str) -> Iterator[Row]:
    """The rows with the column ``supporting``, the paragraphs that an answer follows from, a space between them.

    Args:
        titles: field with the list of the paragraphs' titles.
        sentences: field with the list of the paragraphs, each a list of its sentences with the spaces before them.
        facts: field with the list of the titles that are needed; those of no paragraph are passed over.
    """
    heads, texts, needed = Field.of(titles), Field.of(sentences), Field.of(facts)
    for row in rows:
        named = set(needed.value(row))
        chosen = (
            "".join(parts) for head, parts in zip(heads.value(row), texts.text(row), strict=True) if head in named
        )
        # Spaces at the ends of a paragraph stay, but for those at the ends of all.
        yield {**row, "supporting": " ".join(chosen).strip()}


def answerable(rows: Iterable[Row], *, unanswerable: str, text: str, spoilt: str) -> Iterator[Row]:
    """The rows whose question has an answer, without those whose passage starts with a remark about it.

    Args:
        unanswerable: column that is true where there is no answer.
        text: field with the passage.
        spoilt: the remark.
    """
    given = Field.of(text)
    return (row for row in rows if not row[unanswerable] and not given.text(row).startswith(spoilt))


def several_right(
    rows: Iterable[Row], *, by: str, choice: str, right: str, none: str, separator: str = " [SEP] "
) -> Iterator[Row]:
    """Where each candidate is a row: one row per question, in the order of their first rows, the rest from the first.

    The candidates are in the column ``options``, with letters, on one line; the right ones as they were, in one text,
    in the column ``correct``.

    Args:
        by: field that tells a question from others.
        choice: field with a row's candidate.
        right: column that is 1 where it is right.
        none: ``correct`` where none is.
        separator: what stands between two right ones.
    """
    key, given = Field.of(by), Field.of(choice)
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        groups.setdefault(key.value(row), []).append(row)
    for group in groups.values():
        candidates = [given.text(row) for row in group]
        chosen = [candidate for candidate, row in zip(candidates, group, strict=True) if row[right] == 1]
        options = lettered([spaced(candidate) for candidate in candidates])
        yield {**group[0], "options": options, "correct": separator.join(chosen) if chosen else none}
