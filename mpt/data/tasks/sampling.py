"""CrossFit's k-shot sampling."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.task import Example, Shots

Thing = TypeVar("Thing")
Item = TypeVar("Item", Example, Record)

FULL_DEV = 1024
"""Dev examples of CrossFit's full data (k = all), where the pool has five times as many."""


def sample(items: Sequence[Item], k: Shots, seed: int, by_label: bool) -> tuple[list[Item], list[Item]]:
    """CrossFit's train and dev examples: :func:`draw` from the :func:`shuffled` pool.

    Args:
        items: the training pool, in its order.
        k: see :func:`draw`.
        seed: from 0 to 2**32 - 1.
        by_label: see :func:`draw`.
    """
    return draw(shuffled(items, seed), k, by_label)


def shuffled(items: Sequence[Thing], seed: int) -> list[Thing]:
    """The items in the order of a seed (0 to 2**32 - 1), by numpy's legacy generator.

    The list itself is shuffled: an array of it would be shuffled otherwise.
    """
    order = list(items)
    np.random.RandomState(seed).shuffle(order)  # type: ignore[arg-type]
    return order


def draw(order: Sequence[Item], k: Shots, by_label: bool) -> tuple[list[Item], list[Item]]:
    """Train and dev examples from a shuffled pool.

    By label, each label in the order of its first occurrence gives its first k examples to train and the next k to
    dev; a label with fewer gives what it has. Without labels, the first k and the next k of all.

    With k = ``all`` the last 1,024 of all are dev, as in CrossFit's full data, and the rest is train; of a pool of
    fewer than 5,120, the last fifth (rounded down) is dev.

    Args:
        order: the shuffled pool.
        k: examples per label or in all; or ``all``.
        by_label: the way of sampling; the label of an example is its outputs.
    """
    if k == "all":
        cut = len(order) - min(FULL_DEV, len(order) // 5)
        return list(order[:cut]), list(order[cut:])
    groups: dict[Hashable, list[Item]] = {}
    for item in order:
        group = groups.setdefault(_label(item) if by_label else None, [])
        if len(group) < 2 * k:
            group.append(item)
    train = [item for group in groups.values() for item in group[:k]]
    dev = [item for group in groups.values() for item in group[k:]]
    return train, dev


def _label(item: Example | Record) -> Hashable:
    return item.output if isinstance(item, Record) else item.targets
