"""Pairs of sentences in a drawn order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mpt.data.catalogue.template import Row


def drawn_order(rows: Iterable[Row], *, good: str, bad: str, seed: int) -> Iterator[Row]:
    """The rows with the columns ``first`` and ``second``, two sentences, and ``place``, where the good one is: 0 or 1.

    One number per row is drawn from [0, 1) by numpy's legacy generator; the good sentence comes first above one half.

    Args:
        good, bad: columns with the sentences.
        seed: of the draws, in the order of the rows.
    """
    random = np.random.RandomState(seed)
    for row in rows:
        if random.random_sample() > 0.5:
            yield {**row, "first": row[good], "second": row[bad], "place": 0}
        else:
            yield {**row, "first": row[bad], "second": row[good], "place": 1}
