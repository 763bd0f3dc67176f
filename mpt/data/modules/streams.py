"""Endless streams of batches that are pure functions of a seed and the batch's number.

So a run that is killed and started again, or one spread over several devices, sees the very batches of a run
that is neither. Each stream yields lists of row (or episode) numbers, without end and from any batch on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import DistributedSampler

from mpt.util.errors import UserError

T = TypeVar("T")
Numbers = npt.NDArray[np.int64]
"""Of rows or episodes, one-dimensional."""


class _Shared(DistributedSampler):
    """A sampler that shares its rows among devices by itself.

    Lightning puts a DistributedSampler in place of every sampler that is none; being one keeps it away. The Trainer's
    ``use_distributed_sampler=False`` would do so too, but for a user's own data loaders as well, whose rows nothing
    would share out then, and not where a Trainer is made without it. Nothing else of the base class is used, and its
    set-up, which needs a process group, is left out.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        """Nothing: the stream knows its place."""

    def __len__(self) -> int:
        raise TypeError("A stream has no end.")


class _Stream(_Shared, ABC):
    def __init__(self, batch_size: int, seed: int, start: int, rank: int, world_size: int) -> None:
        super().__init__(rank, world_size)
        if batch_size % world_size:
            # Equal shares, or the mean over devices would not be the mean over the batch.
            raise ValueError(f"A batch of {batch_size} cannot be shared equally by {world_size} devices.")
        self.batch_size, self.stream_seed, self.start = batch_size, seed, start

    @abstractmethod
    def batch(self, number: int) -> Numbers:
        """Row numbers [B] of the batch of that number, counted from 0, over all devices."""

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

    def batch(self, number: int) -> Numbers:
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

    def batch(self, number: int) -> Numbers:
        rng = np.random.default_rng((self.stream_seed, number))
        tasks = rng.choice(len(self.sizes), size=self.batch_size, p=self.rates)
        return self.offsets[tasks] + rng.integers(self.sizes[tasks])


class Placed(_Shared):
    """The rows of a stream, each with its place in it, counted from 0 over all devices.

    What is made of a row by chance can then be a function of the place, whatever the number of devices and workers.
    """

    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream.rank, stream.world_size)
        self.stream = stream

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size = self.stream.batch_size
        for number, rows in enumerate(self.stream, start=self.stream.start):
            first = number * size + self.rank * (size // self.world_size)
            yield list(zip(rows, range(first, first + len(rows)), strict=True))


class EpisodeSampler(_Stream):
    """The numbers of episodes, in their order; a batch of them is a meta-batch.

    What the episode of a number is: see :func:`episode_draw` and :func:`episode_rows`.
    """

    def batch(self, number: int) -> Numbers:
        return np.arange(number * self.batch_size, (number + 1) * self.batch_size)


def episode_draw(number: int, n_tasks: int, n_draws: int, seed: int) -> tuple[int, int]:
    """Which task, and which of its draws, an episode is made of.

    Epochs are laid end to end. In each, every task comes once, in an order of the epoch's own; from epoch to
    epoch a task goes through its draws, in an order of the task's own.
    """
    epoch, place = divmod(number, n_tasks)
    task = int(np.random.default_rng((seed, 1, epoch)).permutation(n_tasks)[place])
    draw = int(np.random.default_rng((seed, 2, task)).permutation(n_draws)[epoch % n_draws])
    return task, draw


def episode_rows(
    number: int, support: Numbers, query: Numbers, n_support: int, n_query: int, seed: int
) -> tuple[Numbers, Numbers]:
    """Which rows of its draw an episode adapts on, and which it is judged on: no row does both.

    On either side no row comes twice while there are others; then all come again, in a new order. Rows that are in
    both pools are shared out so that neither side runs short where there are enough for both.

    Args:
        support, query: pools of different row numbers, not both the same single row.
        n_support, n_query: how many to take of each.
    """
    rng = np.random.default_rng((seed, 3, number))
    shared = rng.permutation(np.intersect1d(support, query))
    wanted = n_query - (len(query) - len(shared))  # beside those that the support cannot have
    granted = max(len(support) - n_support, min(len(support) // 2, wanted), 0)
    judged = _cycle(rng, np.setdiff1d(query, shared[granted:]), n_query)
    return _cycle(rng, np.setdiff1d(support, judged), n_support), judged


def validation_rows(place: int, size: int, n: int, seed: int) -> Numbers:
    """Which ``n`` of a validation task's train rows its episode adapts on, the same at every validation.

    Args:
        place: the task's among the validation tasks.
        size: number of its train rows.
    """
    return _cycle(np.random.default_rng((seed, 4, place)), np.arange(size), n)


def _cycle(rng: np.random.Generator, pool: Numbers, n: int) -> Numbers:
    """``n`` rows of a pool: one permutation of it after the other."""
    return np.concatenate([rng.permutation(pool) for _ in range(-(-n // len(pool)))])[:n]


class SequentialBatches(_Shared):
    """All rows once, in their order, in batches of which the last may be short; for evaluation.

    On several devices each takes every ``world_size``-th batch. Unlike Lightning's own sampler it repeats no
    row to make the shares equal, so that a metric over all devices counts each example once. Where there are fewer
    batches than devices they are made smaller, for a device without a batch would end the run.

    Raises:
        UserError: there are fewer rows than devices.
    """

    def __init__(self, n: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(rank, world_size)
        if n < world_size:
            raise UserError(
                f"{n} examples cannot be shared by {world_size} devices; set trainer.devices to {max(n, 1)}"
            )
        if -(-n // batch_size) < world_size:
            batch_size = n // world_size
        self.firsts = range(rank * batch_size, n, world_size * batch_size)
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return len(self.firsts)

    def __iter__(self) -> Iterator[list[int]]:
        for first in self.firsts:
            yield list(range(first, min(first + self.batch_size, self.n)))


def in_order(shares: Sequence[Sequence[T]], batch_size: int) -> list[T]:
    """What the devices made of rows, each of its :class:`SequentialBatches`, in the order of the rows.

    Shares of other sizes than those would have are one behind the other.
    """
    total = sum(map(len, shares))
    if total < len(shares):
        return [row for share in shares for row in share]
    parts = [SequentialBatches(total, batch_size, rank, len(shares)) for rank in range(len(shares))]
    places = [[row for batch in part for row in batch] for part in parts]
    if list(map(len, places)) != list(map(len, shares)):
        return [row for share in shares for row in share]
    found = {
        place: row for own, share in zip(places, shares, strict=True) for place, row in zip(own, share, strict=True)
    }
    return [found[place] for place in range(total)]
