"""Text that is changed as a whole, or cut, before it is the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mpt.data.catalogue.filters import clean
from mpt.data.catalogue.template import Field, Row, Template


def cleaned(rows: Iterable[Row], *, text: str, part: Sequence[str] = ()) -> Iterator[Row]:
    """The rows with the column ``cleaned``: a text rendered, then cleaned as a whole.

    An empty field then leaves one space behind, where cleaning the fields one by one leaves two.

    Args:
        text: template.
        part: three fields, a text, the start and the end of a part of it, in characters; the part stands for
            ``{part}`` in the template. As in Python, -1 is before the last character, and a start past the end gives
            an empty part.
    """
    template = Template.of(text)
    fields = [Field.of(name) for name in part]
    for row in rows:
        if fields:
            whole, start, end = fields
            row = {**row, "part": whole.text(row)[start.value(row) : end.value(row)]}
        yield {**row, "cleaned": clean(template.render(row))}


def documents(rows: Iterable[Row], *, text: str) -> Iterator[Row]:
    """The rows with the columns ``document``, a text in one line, and ``nothing``, which is empty: unlabelled text.

    Texts of one word, which cannot be cut into a beginning and a rest, are left out.

    Args:
        text: field with the text.
    """
    given = Field.of(text)
    for row in rows:
        document = clean(given.text(row))
        if " " in document:
            yield {**row, "document": document, "nothing": ""}


def without_heading(rows: Iterable[Row], *, text: str, heading: str) -> Iterator[Row]:
    """The rows with the column ``body``: a text without the heading that some of them start with.

    Args:
        text: field with the text, with filters after a colon, ``text:one_line``; they come first.
        heading: cut off where the text starts with it, spaces included.
    """
    given = Field.of(text)
    return ({**row, "body": given.text(row).removeprefix(heading)} for row in rows)
