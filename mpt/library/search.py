"""The entries most similar to a key, from a library's index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpt.library.entry import KEY, Entry
from mpt.library.index import Index, IndexRow
from mpt.library.pooling import POOLS
from mpt.util.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 512
"""Keys that are in memory at a time where a similarity needs them whole."""


@dataclass(frozen=True)
class SearchHit:
    """What a search found.

    Attributes:
        entry: the source prompt.
        similarity: of its key to the one sought.
    """

    entry: Entry
    similarity: float


def search(
    index: Index, key: Tensor, k: int, by: str, fingerprint: str, exclude_tasks: Collection[str]
) -> list[SearchHit]:
    """See :meth:`mpt.library.library.Library.search`; the index is up to date with the folders' names."""
    exclude_tasks = set(exclude_tasks)
    if by not in POOLS:
        index.update(thorough=True)  # every key will be read
    while True:
        rows = [row for row in _rows(index, fingerprint, key.shape[1]) if row.task not in exclude_tasks]
        similarities = _pooled(rows, key, by) if by in POOLS else _whole(index, rows, key, by)
        # Rows are in the order of names, and so are those of equal similarity.
        best = [(rows[i], float(similarities[i])) for i in np.argsort(-similarities, kind="stable")[:k]]
        if all(index.is_as_read(row) for row, _ in best):
            return [SearchHit(row.entry(index.prompts), similarity) for row, similarity in best]
        index.update(thorough=True)


def _rows(index: Index, fingerprint: str, width: int) -> list[IndexRow]:
    own = [row for row in index.rows.values() if row.fingerprint == fingerprint]
    rows = [row for row in own if row.hidden_size == width]
    if own and not rows:
        others = sorted({row.hidden_size for row in own})
        raise UserError(
            f"the keys of backbone {fingerprint} in {index.prompts.parent} have the hidden size "
            f"{', '.join(map(str, others))}, but the one sought has {width}"
        )
    return rows


def _pooled(rows: Sequence[IndexRow], key: Tensor, by: str) -> npt.NDArray[np.float32]:
    """``[rows]``: similarities that are products of two vectors ``[H]``."""
    sought = POOLS[by](key.double().cpu().numpy()[None])[0].astype("<f4")
    stored = np.frombuffer(b"".join(getattr(row, by) for row in rows), "<f4")
    similarities: npt.NDArray[np.float32] = stored.reshape(len(rows), len(sought)) @ sought
    return similarities


def _whole(index: Index, rows: Sequence[IndexRow], key: Tensor, by: str) -> npt.NDArray[Any]:
    """``[rows]``: similarities of whole keys, which are read from their folders."""
    import torch

    from mpt.library.similarity import SIMILARITIES, around, centre_of
    from mpt.prompt.files import load_prompt

    if not rows:
        return np.empty(0)

    def pieces() -> Iterator[Tensor]:
        for start in range(0, len(rows), _AT_ONCE):
            keys = [load_prompt(index.prompts / row.name / KEY).weight for row in rows[start : start + _AT_ONCE]]
            yield torch.stack(keys)

    # The centre is that of all keys that are compared, not of a piece of them.
    measure = partial(around, centre_of(pieces())) if by == "centred" else SIMILARITIES[by]
    return np.concatenate([measure(key[None], piece)[0].numpy() for piece in pieces()])
