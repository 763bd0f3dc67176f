"""Batch streams: what is in them, and that a part of one is the same part of the whole."""

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest

from mpt.data.modules.streams import (
    EpisodeSampler,
    MixtureSampler,
    SequentialBatches,
    StreamSampler,
    episode_draw,
    episode_rows,
    in_order,
    validation_rows,
)
from mpt.data.tasks.mixing import mixing_rates
from mpt.util.errors import UserError


def mixture(sizes=(5, 50, 500), **options):
    rates = mixing_rates(sizes, limit=100)
    return MixtureSampler(list(sizes), rates, **{"batch_size": 6, "seed": 3, **options})


def stream(**options):
    return StreamSampler(**{"n": 10, "batch_size": 6, "seed": 3, **options})


def rows_of(number, support, query, n_support, n_query, seed=3):
    pools = (np.array(sorted(pool)) for pool in (support, query))
    chosen = episode_rows(number, *pools, n_support, n_query, seed)
    return tuple(part.tolist() for part in chosen)


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


@pytest.mark.long
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


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_takes_every_row_once_whatever_the_devices(world_size):
    shares = [SequentialBatches(10, 4, rank, world_size) for rank in range(world_size)]
    assert [len(list(share)) for share in shares] == [len(share) for share in shares]
    assert sorted(chain(*shares)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    answered = [[row for batch in share for row in batch] for share in shares]
    assert in_order(answered, 4) == list(range(10))
    assert in_order([[3, 1], [2], []], 4) == [3, 1, 2]  # of another making
    assert in_order([[], []], 4) == [] and in_order([[], [5]], 4) == [5]


def test_meta_batches_number_the_episodes_through():
    assert list(islice(EpisodeSampler(4, seed=3, start=2, rank=1, world_size=2), 2)) == [[10, 11], [14, 15]]


def test_every_epoch_holds_every_task_once_in_a_new_order():
    tasks = [episode_draw(number, 7, 3, seed=5)[0] for number in range(7 * 30)]
    epochs = [tuple(tasks[i : i + 7]) for i in range(0, 7 * 30, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) == 30


def test_a_task_goes_through_its_draws_in_an_order_of_its_own():
    used = {}
    for number in range(7 * 12):
        task, draw = episode_draw(number, 7, 4, seed=5)
        used.setdefault(task, []).append(draw)
    for draws in used.values():
        assert all(sorted(draws[i : i + 4]) == [0, 1, 2, 3] for i in range(9))
    assert len({tuple(draws) for draws in used.values()}) > 3


# The pools: apart, the same, one in the other, and overlapping; with few and with many rows asked for.
POOLS = [
    (range(8), range(8, 20)),
    (range(12), range(12)),
    (range(12), range(4)),
    (range(4), range(12)),
    (range(8), range(4, 12)),
    (range(1), range(2)),
    (range(2), range(1)),
    (range(2), range(2)),
]


@pytest.mark.parametrize(("support", "query"), POOLS)
@pytest.mark.parametrize(("n_support", "n_query"), [(1, 1), (4, 4), (8, 2), (2, 8), (40, 5), (5, 40)])
def test_no_row_is_in_both_parts_of_an_episode_nor_repeated_without_need(support, query, n_support, n_query):
    enough = (
        n_support <= len(support) and n_query <= len(query) and n_support + n_query <= len(set(support) | set(query))
    )
    for number in range(50):
        adapted, judged = rows_of(number, support, query, n_support, n_query)
        assert (len(adapted), len(judged)) == (n_support, n_query)
        assert set(adapted) <= set(support) and set(judged) <= set(query)
        assert not set(adapted) & set(judged)
        for chosen in (adapted, judged):
            counts = Counter(chosen)
            assert max(counts.values()) - min(counts.values()) <= 1
            assert max(counts.values()) == 1 or not enough


def test_an_episode_starts_over_with_all_rows_in_a_new_order():
    adapted, judged = rows_of(0, range(5), range(5, 9), 15, 8)
    passes = [adapted[i : i + 5] for i in range(0, 15, 5)]
    assert all(sorted(part) == list(range(5)) for part in passes) and passes[0] != passes[1]
    assert sorted(judged) == sorted([*range(5, 9)] * 2)


@pytest.mark.long
def test_episodes_draw_all_rows_alike():
    support, query = zip(*(rows_of(number, range(12), range(12), 3, 2) for number in range(6000)), strict=True)
    for parts, n in ((support, 3), (query, 2)):
        share = np.bincount(list(chain(*parts))) / 6000
        assert np.all(np.abs(share - n / 12) < 5 * np.sqrt(n / 12 / 6000))


def test_what_an_episode_holds_is_a_function_of_seed_and_number():
    def episodes(seed):
        numbers = range(40)
        return [(episode_draw(n, 7, 4, seed), rows_of(n, range(12), range(12, 20), 4, 4, seed)) for n in numbers]

    assert episodes(5) == episodes(5) != episodes(6)
    assert len({str(rows) for _, rows in episodes(5)}) == 40


def test_a_validation_tasks_rows_are_fixed_and_its_own():
    rows = [validation_rows(place, 10, 25, seed=3).tolist() for place in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert sorted(rows[0][:10]) == sorted(rows[0][10:20]) == list(range(10))
    assert len(set(rows[0][20:])) == 5


@pytest.mark.parametrize(("n", "world_size"), [(32, 2), (3, 3), (33, 4), (5, 3), (64, 2), (10, 5)])
def test_no_device_is_without_a_batch_and_no_row_comes_twice(n, world_size):
    shares = [list(SequentialBatches(n, 32, rank, world_size)) for rank in range(world_size)]
    assert all(shares) and all(len(batch) <= 32 for share in shares for batch in share)
    assert sorted(chain(*chain(*shares))) == list(range(n))


def test_fewer_rows_than_devices_are_refused():
    with pytest.raises(UserError, match=r"2 examples cannot be shared by 3 devices; set trainer\.devices to 2"):
        SequentialBatches(2, 32, 0, 3)
