"""Endless streams of batches that are pure functions of a seed and the batch's number.

So a run that is killed and started again, or one spread over several devices, sees the very batches of a run
that is neither. Each stream yields lists of row numbers, without end and from any batch on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import DistributedSampler


class _Shared(DistributedSampler):
    """A sampler that shares its rows among devices by itself.

    Lightning gives every sampler that is no DistributedSampler one of its own; being one keeps it away.
    Nothing else of the base class is used, and its set-up, which needs a process group, is left out.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        """Nothing: the stream knows its place."""

    def __len__(self) -> int:
        raise TypeError("A stream has no end.")


class _Stream(_Shared):
    def __init__(self, batch_size: int, seed: int, start: int, rank: int, world_size: int) -> None:
        super().__init__(rank, world_size)
        if batch_size % world_size:
            # Equal shares, or the mean over devices would not be the mean over the batch.
            raise ValueError(f"A batch of {batch_size} cannot be shared equally by {world_size} devices.")
        self.batch_size, self.stream_seed, self.start = batch_size, seed, start

    def batch(self, number: int) -> npt.NDArray[np.int64]:
        """Row numbers [B] of the batch of that number, counted from 0, over all devices."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.world_size
        number = self.start
        while True:
            yield self.batch(number)[self.rank * share : (self.rank + 1) * share].tolist()
            number += 1


class StreamSampler(_Stream):
    """Epochs laid end to end, each in an order of its own, and cut into batches across their ends.

    Within an epoch every row comes once; no batch is short and no row is dropped.

    Args:
        n: number of rows.
        batch_size: rows of a batch, over all devices.
        seed: of the orders.
        start: number of the first batch.
        rank: of this device.
        world_size: number of devices, a divisor of the batch size; each takes its slice of every batch.
    """

    def __init__(self, n: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(batch_size, seed, start, rank, world_size)
        self.n = n
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def batch(self, number: int) -> npt.NDArray[np.int64]:
        first = number * self.batch_size
        return np.array([self._row(place) for place in range(first, first + self.batch_size)])

    def _row(self, place: int) -> int:
        epoch, offset = divmod(place, self.n)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.stream_seed, epoch)).permutation(self.n)
            self._epoch = epoch
        return int(self._order[offset])


class MixtureSampler(_Stream):
    """Each row of each batch is drawn by itself: a task by the mixing rates, then an example of it, all
    alike.

    Args:
        sizes: number of examples of each of the M tasks; rows are counted through all of them in this order.
        rates: [M] probabilities.
        batch_size, seed, start, rank, world_size: as in :class:`StreamSampler`.
    """

    def __init__(
        self,
        sizes: list[int],
        rates: npt.NDArray[np.float64],
        batch_size: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, seed, start, rank, world_size)
        self.sizes = np.array(sizes)
        self.offsets = np.cumsum(self.sizes) - self.sizes
        self.rates = rates

    def batch(self, number: int) -> npt.NDArray[np.int64]:
        rng = np.random.default_rng((self.stream_seed, number))
        tasks = rng.choice(len(self.sizes), size=self.batch_size, p=self.rates)
        return self.offsets[tasks] + rng.integers(self.sizes[tasks])


class SequentialBatches(_Shared):
    """All rows once, in their order, in batches of which the last may be short; for evaluation.

    On several devices each takes every ``world_size``-th batch. Unlike Lightning's own sampler it repeats no
    row to make the shares equal, so that a metric over all devices counts each example once.
    """

    def __init__(self, n: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(rank, world_size)
        self.firsts = range(rank * batch_size, n, world_size * batch_size)
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return len(self.firsts)

    def __iter__(self) -> Iterator[list[int]]:
        for first in self.firsts:
            yield list(range(first, min(first + self.batch_size, self.n)))
