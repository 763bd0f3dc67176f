"""Random choices that are the same on every Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class StableRandom:
    """A stream of choices fixed by its seed words.

    Python promises the same ``random()`` from the same seed on every version, and nothing about
    ``choice`` or ``sample``: hence this class uses ``random()`` alone.
    """

    def __init__(self, *seed: object) -> None:
        self._random = random.Random("/".join(map(str, seed))).random

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self._random() < p

    def below(self, n: int) -> int:
        """An integer in ``[0, n)``."""
        return int(self._random() * n)

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``."""
        return items[int(self._random() * len(items))]

    def some(self, items: Sequence[T], n: int) -> list[T]:
        """``n`` different ones of ``items``, in random order."""
        pool = list(items)
        for i in range(n):
            j = i + int(self._random() * (len(pool) - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:n]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """``items`` in random order."""
        return self.some(items, len(items))
