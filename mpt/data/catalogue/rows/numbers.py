"""Numbers as the words that are predicted for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mpt.data.catalogue.template import Field, Row


def stepped(rows: Iterable[Row], *, number: str, step: float) -> Iterator[Row]:
    """The rows with the column ``stepped``: a number rounded to a multiple of the step, with one decimal.

    So a rating is one of a few words, as in T5's form of STS-B.

    Args:
        number: field with the number.
        step: above 0; ValueError otherwise.
    """
    given = Field.of(number)
    if not step > 0:
        raise ValueError(f"step is {step:g}, and must be above 0")
    for row in rows:
        yield {**row, "stepped": f"{round(given.value(row) / step) * step:.1f}"}
