"""Training pool and test list from either source."""

from __future__ import annotations

import numpy as np
import pytest
from support.crossfit_files import own_task, rows, write_branch, write_raw

from mpt.data.build.pool import hub_pool, raw_pool
from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError


def local(folder):
    return lambda source, split: sorted((folder / source.config / split).glob("*.parquet"))


def record(i):
    return Record(f"question: Row {i}?", "yes" if i % 2 else "no")


def test_raw_files_are_the_pool_and_the_test_list_as_they_are(tmp_path):
    pool = raw_pool(own_task(tmp_path), write_raw(tmp_path / "raw", "own", 10, 3))
    assert pool.train == [Record(f"train é {i}", ("yes", "no")[i % 2]) for i in range(10)]
    assert list(pool.test) == [Record(f"test é {i}", ("yes", "no")[i % 2]) for i in range(3)]


def test_splits_of_the_hub_one_after_the_other(tmp_path):
    branch = write_branch(tmp_path, train=rows(10), more=rows(4, 50), validation=rows(6, 100))
    task = own_task(tmp_path, test="test: [validation, more]")
    pool = hub_pool(task, local(branch))
    assert pool.train == [record(i) for i in range(10)]
    assert list(pool.test) == [record(i) for i in (*range(100, 106), *range(50, 54))]


def test_without_a_test_split_the_last_fifth_of_the_shuffled_pool_is_the_test_list(tmp_path):
    branch = write_branch(tmp_path, train=rows(13))
    pool = hub_pool(own_task(tmp_path, test="holdout_seed: 42"), local(branch))
    lines = [record(i) for i in range(13)]
    np.random.seed(42)
    np.random.shuffle(lines)  # type: ignore[arg-type]
    assert pool.train == lines[:10] and list(pool.test) == lines[10:], "int(0.8 * 13) = 10"


@pytest.mark.parametrize(
    ("extra", "train", "test"),
    [
        ("holdout_seed: 42\n  holdout_sizes: [4, 3]", slice(0, 4), slice(4, 7)),
        ("holdout_seed: 42\n  holdout_test_from: 0.9", slice(0, 16), slice(18, 20)),
    ],
)
def test_parts_of_another_size_where_crossfit_takes_them(tmp_path, extra, train, test):
    branch = write_branch(tmp_path, train=rows(20))
    pool = hub_pool(own_task(tmp_path, test=extra), local(branch))
    lines = [record(i) for i in range(20)]
    np.random.seed(42)
    np.random.shuffle(lines)  # type: ignore[arg-type]
    assert pool.train == lines[train] and list(pool.test) == lines[test]


def test_a_share_of_a_large_test_split(tmp_path):
    branch = write_branch(tmp_path, train=rows(8), validation=rows(20, 50))
    pool = hub_pool(own_task(tmp_path, test="test: validation\n  test_share: 0.3"), local(branch))
    lines = [record(i) for i in range(50, 70)]
    np.random.seed(42)
    np.random.shuffle(lines)  # type: ignore[arg-type]
    assert pool.train == [record(i) for i in range(8)] and list(pool.test) == lines[:6]


def test_an_output_outside_the_labels_is_named(tmp_path):
    task = own_task(tmp_path)
    branch = write_branch(tmp_path, train=rows(4), validation=rows(4))
    odd = Task("own", "classification", "ACC", ("yes",), by_label=True, recipe=task.recipe)
    with pytest.raises(UserError, match="split train, record 1 has the output 'no'; own knows yes"):
        hub_pool(odd, local(branch))


def test_a_task_without_a_source_needs_raw_files():
    with pytest.raises(UserError, match=r"no source.*--raw DIR"):
        hub_pool(Task("own", "qa", "EM"), local)
