"""A task's training pool and test list, from the hub or from raw files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mpt.data.build.hub import Fetch, parquet_rows
from mpt.data.build.raw import raw_files, raw_records
from mpt.data.catalogue.recipe import ExampleRecipe, Record
from mpt.data.tasks.sampling import shuffled
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError


@dataclass(frozen=True)
class RecordPool:
    """What CrossFit draws from.

    Attributes:
        train: the training pool, in the order before any draw's shuffle.
        test: the test list, which may be read as it is gone through, once.
    """

    train: list[Record]
    test: Iterable[Record]


def raw_pool(task: Task, folder: Path) -> RecordPool:
    """From raw files, which are cut into train and test already; see :mod:`mpt.data.build.raw` for errors."""
    train, test = raw_files(folder, task.name)
    return RecordPool(list(raw_records(train, task)), raw_records(test, task))


def hub_pool(task: Task, fetch: Fetch) -> RecordPool:
    """From the task's source on the hub.

    Where the source has no test split, CrossFit shuffles the pool, and the last fifth is the test list. Where the test
    split is large, it takes a part of it.

    Raises:
        UserError: the task has no source; what :class:`mpt.data.build.hub.Hub` raises; a row that is not what the
            task's catalogue file was written for, or an output that is none of its labels.
    """
    recipe = task.recipe
    if recipe is None:
        raise UserError("its catalogue file names no source, so it can only be built from raw files (--raw DIR).")
    if recipe.source.elsewhere:
        raise UserError(
            f"its data are not on the hub but at {recipe.source.elsewhere}; build from raw files (--raw DIR)."
        )
    train = list(islice(_records(task, recipe, recipe.source.train, fetch), recipe.source.first))
    if recipe.source.test:
        # Fetched now, so that a lacking split is known before anything is sampled.
        for split in recipe.source.test:
            fetch(recipe.source, split)
        test = _records(task, recipe, recipe.source.test, fetch)
        if recipe.source.test_share is None:
            return RecordPool(train, test)
        # 42 is CrossFit's seed wherever it takes a part.
        order = shuffled(list(test), 42)
        return RecordPool(train, order[: int(recipe.source.test_share * len(order))])
    order = shuffled(train, recipe.source.holdout_seed)
    if recipe.source.holdout_sizes is not None:
        pool, rest = recipe.source.holdout_sizes
        return RecordPool(order[:pool], order[pool : pool + rest])
    return RecordPool(order[: int(0.8 * len(order))], order[int(recipe.source.holdout_test_from * len(order)) :])


def _records(task: Task, recipe: ExampleRecipe, splits: Iterable[str], fetch: Fetch) -> Iterator[Record]:
    labels = set(task.labels) if task.by_label else set()
    for split in splits:
        where = f"{recipe.source}, split {split}"
        rows = parquet_rows(fetch(recipe.source, split), recipe.columns)
        for number, record in enumerate(recipe.records(rows, where), start=1):
            if labels and record.output not in labels:
                raise UserError(
                    f"{where}, record {number} has the output {record.output!r}; {task.name} knows "
                    f"{', '.join(task.labels)}."
                )
            yield record
