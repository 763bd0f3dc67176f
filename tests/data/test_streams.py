"""Batch streams: what is in them, and that a part of one is the same part of the whole."""

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest

from mpt.data.mixing import mixing_rates
from mpt.data.streams import MixtureSampler, SequentialBatches, StreamSampler


def mixture(sizes=(5, 50, 500), **options):
    rates = mixing_rates(sizes, limit=100)
    return MixtureSampler(list(sizes), rates, **{"batch_size": 6, "seed": 3, **options})


def stream(**options):
    return StreamSampler(**{"n": 10, "batch_size": 6, "seed": 3, **options})


def test_every_epoch_holds_every_row_once_in_a_new_order():
    rows = [row for batch in islice(stream(), 50) for row in batch]
    epochs = [tuple(rows[i : i + 10]) for i in range(0, 300, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(epochs)) == 30


def test_a_batch_larger_than_the_data_is_full():
    assert Counter(next(iter(stream(n=2)))) == {0: 3, 1: 3}
    assert next(iter(stream(n=1))) == [0] * 6


@pytest.mark.parametrize("make", [stream, mixture])
def test_a_stream_is_a_function_of_seed_and_number(make):
    whole = list(islice(make(), 30))
    assert list(islice(make(start=11), 19)) == whole[11:]
    assert make().batch(29).tolist() == whole[29]
    sampler = make()
    assert list(islice(sampler, 5)) == list(islice(sampler, 5)) == whole[:5]
    assert list(islice(make(seed=4), 30)) != whole
    assert all(len(batch) == 6 for batch in whole)


@pytest.mark.parametrize("make", [stream, mixture])
@pytest.mark.parametrize("world_size", [2, 3])
def test_devices_share_the_batches_of_one_device(make, world_size):
    shares = [islice(make(rank=rank, world_size=world_size), 20) for rank in range(world_size)]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == list(islice(make(), 20))
    with pytest.raises(ValueError, match="6 cannot be shared equally by 4"):
        make(world_size=4)


def test_a_stream_has_no_length():
    with pytest.raises(TypeError):
        len(stream())


def test_a_mixture_draws_tasks_by_their_rates_and_examples_alike():
    sizes = [5, 50, 500]
    rows = np.concatenate([mixture(sizes).batch(number) for number in range(5000)])
    tasks = np.searchsorted(np.cumsum(sizes), rows, side="right")
    expected = np.array([5, 50, 100]) / 155
    share = np.bincount(tasks) / len(rows)
    # Five standard deviations of a share of 30,000 draws.
    assert np.all(np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / len(rows)))
    counts = np.bincount(rows[tasks == 0], minlength=5)
    assert counts.min() > 0.7 * counts.mean()
    assert rows.min() == 0 and rows.max() == 554


@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_evaluation_takes_every_row_once_whatever_the_devices(world_size):
    shares = [SequentialBatches(10, 4, rank, world_size) for rank in range(world_size)]
    assert [len(list(share)) for share in shares] == [len(share) for share in shares]
    assert sorted(chain(*shares)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
