"""The entries most similar to a key, from a library's index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mpt.library.entry import KEY, Entry
from mpt.library.index import Index
from mpt.library.shard import POOLS, Shard, task_mark
from mpt.library.similarity import SIMILARITIES
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError

_AT_ONCE = 512
"""Keys that are in memory at a time where a similarity needs them whole."""


@dataclass(frozen=True)
class Hit:
    """What a search found.

    Attributes:
        entry: the source prompt.
        similarity: of its key to the one sought.
    """

    entry: Entry
    similarity: float


class Changed(Exception):
    """Entries' files are not those that the index was made from.

    Attributes:
        marks: of these entries.
    """

    def __init__(self, marks: frozenset[int]) -> None:
        self.marks = marks


def search(index: Index, key: Tensor, k: int, by: str, fingerprint: str, exclude_tasks: Collection[str]) -> list[Hit]:
    """See :meth:`mpt.library.library.Library.search`; the index is up to date with the folders' names.

    Raises:
        Changed: an entry that would be among the hits is not as it was read.
        UserError: the backbone's keys have another hidden size.
    """
    shard = _shard(index, fingerprint, key.shape[1])
    if shard is None:
        return []
    excluded = np.array([task_mark(task) for task in exclude_tasks], "<u8")
    wanted = shard.alive & ~np.isin(shard.rows["task"], excluded)
    if by in POOLS:
        similarities = np.where(wanted, shard.similarities(by, key), -np.inf)
    else:
        similarities = _by_whole_keys(index, shard, wanted, key, by)
    hits: list[Hit] = []
    for row in shard.best(similarities):
        _check(index, shard, [row])
        hits.append(Hit(shard.entry(row, index.prompts), float(similarities[row])))
        if len(hits) == k:
            break
    return hits


def _shard(index: Index, fingerprint: str, width: int) -> Shard | None:
    shard = index.shard(fingerprint, width)
    others = index.widths(fingerprint) - {width}
    if shard is None and others:
        raise UserError(
            f"the keys of backbone {fingerprint} in {index.prompts.parent} have the hidden size "
            f"{', '.join(map(str, sorted(others)))}, but the one sought has {width}"
        )
    return shard


def _by_whole_keys(index: Index, shard: Shard, wanted: np.ndarray, key: Tensor, by: str) -> np.ndarray:
    """``[rows]``, from the entries' folders; minus infinity where a row is not wanted."""
    similarities = np.full(len(wanted), -np.inf)
    rows = np.flatnonzero(wanted).tolist()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        _check(index, shard, part)
        keys = torch.stack([load_prompt(index.prompts / shard.name(row) / KEY).weight for row in part])
        similarities[part] = SIMILARITIES[by](key[None], keys)[0].numpy()
    return similarities


def _check(index: Index, shard: Shard, rows: list[int]) -> None:
    if not all(index.is_as_read(shard, row) for row in rows):
        # Rare, so that one look at every entry of this backbone is cheaper than one search for each.
        raise Changed(index.changed(shard))
