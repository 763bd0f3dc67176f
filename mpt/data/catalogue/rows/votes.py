"""Labels by several annotators as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mpt.data.catalogue.template import Field, Row


def majority(rows: Iterable[Row], *, votes: str) -> Iterator[Row]:
    """The rows with the column ``vote``, the most frequent label, without those where two are equally frequent.

    Args:
        votes: field with the list of labels, ``annotators[label]``. ValueError where it is empty.
    """
    given = Field.of(votes)
    for row in rows:
        ranking = Counter(given.value(row)).most_common(2)
        if not ranking:
            raise ValueError(f"{votes} is empty")
        if len(ranking) == 1 or ranking[0][1] > ranking[1][1]:
            yield {**row, "vote": ranking[0][0]}
