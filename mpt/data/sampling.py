"""CrossFit's k-shot sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpt.data.tasks import Example


def sample(examples: Sequence[Example], k: int, seed: int, by_label: bool) -> tuple[list[Example], list[Example]]:
    """CrossFit's k-shot train and dev examples.

    The list is shuffled by numpy's legacy generator (the list itself: an array of it would be shuffled
    otherwise). By label, each label in the order of its first occurrence in the shuffled list gives its first
    k examples to train and the next k to dev; a label with fewer gives what it has. Without labels, the first
    k and the next k of all.

    Args:
        examples: the training pool, in its order.
        k: examples per label or in all.
        seed: from 0 to 2**32 - 1.
        by_label: the way of sampling; an example's label is its outputs.
    """
    shuffled = list(examples)
    np.random.RandomState(seed).shuffle(shuffled)  # type: ignore[arg-type]
    groups: dict[object, list[Example]] = {}
    for example in shuffled:
        groups.setdefault(example.targets if by_label else None, []).append(example)
    train = [example for group in groups.values() for example in group[:k]]
    dev = [example for group in groups.values() for example in group[k : 2 * k]]
    return train, dev
