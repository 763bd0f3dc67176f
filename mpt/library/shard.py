"""The part of a library's index that one backbone's entries fill: pooled keys in memory-mapped files, and a table.

Files only grow, and the one that says how many rows there are grows last, so that a reader needs no lock and a writer
that is killed leaves nothing that counts.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpt.library.entry import Entry, as_entry
from mpt.library.similarity import pool_average, pool_per_token

POOLS = {"average_token": pool_average, "per_token": pool_per_token}
"""Similarities that are a product of two vectors ``[H]``, one for each key."""

_ROW = np.dtype([(name, "<u8") for name in ("mark", "stamp", "task", "written", "begin", "end", "check")])
_ROWS, _TABLE = "rows", "table"
_AT_ONCE = 8192
"""Rows that a product takes at a time, so that no more of a file need be in memory than that."""


@dataclass(frozen=True)
class Indexed:
    """An entry as the index takes it in.

    Attributes:
        mark: of its folder, see :func:`mpt.library.index.marks`.
        stamp: of its files' sizes and times.
        entry: what its facts say.
        key: ``[P, H]``.
    """

    mark: int
    stamp: int
    entry: Entry
    key: Tensor


class DamagedIndex(Exception):
    """The files of an index do not fit together; it has to be made anew."""


@dataclass
class Shard:
    """Rows of entries of one backbone, by files in a folder of the index.

    Attributes:
        folder: of these files.
        width: H.
        rows: the rows' numbers, see ``_ROW``.
        alive: of each row, whether it stands for an entry that is there.
    """

    folder: Path
    width: int
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, _ROW))
    alive: np.ndarray = field(default_factory=lambda: np.empty(0, bool))

    def __post_init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}
        self.sound = np.empty(0, bool)
        self.table: Any = b""

    @property
    def marks(self) -> np.ndarray:
        """Of each row; zero, which is no folder's, where the row's check failed."""
        return np.where(self.sound, self.rows["mark"], 0)

    def refresh(self) -> None:
        """Take in what was appended since.

        Raises:
            DamagedIndex: a file is shorter than the rows say.
        """
        known, count = len(self.rows), _size(self.folder / _ROWS) // _ROW.itemsize
        if count == known:
            return
        if count < known:
            raise DamagedIndex(f"{self.folder} has lost rows")
        self.rows = np.fromfile(self.folder / _ROWS, _ROW, count)
        shape = (count, self.width)
        if any(_size(self.folder / name) < 4 * count * self.width for name in POOLS):
            raise DamagedIndex(f"{self.folder} has lost vectors")
        if _size(self.folder / _TABLE) < self.rows["end"][-1]:
            raise DamagedIndex(f"{self.folder} has lost a part of its table")
        # As plain arrays: slices of a memmap are ten times as slow to make.
        maps = {name: np.memmap(self.folder / name, "<f4", "r", shape=shape) for name in POOLS}
        self.vectors = {name: np.asarray(mapped) for name, mapped in maps.items()}
        self.table = np.asarray(np.memmap(self.folder / _TABLE, "u1", "r"))
        fresh = range(known, count)
        self.sound = np.append(self.sound, np.fromiter((self._is_sound(row) for row in fresh), bool, len(fresh)))
        self.alive = np.append(self.alive, np.zeros(len(fresh), bool))

    def append(self, entries: Sequence[Indexed]) -> None:
        """Add rows. Only one process may do so at a time, and not before :meth:`refresh`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        count, end = len(self.rows), int(self.rows["end"][-1]) if len(self.rows) else 0
        lines = [_line(indexed.entry) for indexed in entries]
        keys = torch.stack([indexed.key for indexed in entries])
        pooled = {name: pool(keys).float().numpy() for name, pool in POOLS.items()}
        rows = np.empty(len(entries), _ROW)
        for i, (indexed, line) in enumerate(zip(entries, lines, strict=True)):
            check = _check(line, [pooled[name][i] for name in POOLS])
            task = task_mark(indexed.entry.task)
            rows[i] = (indexed.mark, indexed.stamp, task, time.time_ns(), end, end + len(line), check)
            end += len(line)
        begin = int(rows["begin"][0])
        for name, vectors in pooled.items():
            _write_at(self.folder / name, 4 * count * self.width, vectors.tobytes())
        _write_at(self.folder / _TABLE, begin, b"".join(lines))
        _write_at(self.folder / _ROWS, count * _ROW.itemsize, rows.tobytes())
        self.refresh()

    def entry(self, row: int, prompts: Path) -> Entry:
        """The entry of a row."""
        facts = json.loads(self._line_of(row))
        return as_entry(prompts / facts["name"], facts["backbone"], facts["facts"], facts["shape"])

    def name(self, row: int) -> str:
        """The name of a row's entry."""
        return json.loads(self._line_of(row))["name"]

    def similarities(self, by: str, key: Tensor) -> np.ndarray:
        """Of every row to a key ``[P, H]``: ``[rows]``."""
        sought, stored = POOLS[by](key[None]).float().numpy()[0], self.vectors[by]
        starts = range(0, len(self.rows), _AT_ONCE)
        return np.concatenate([np.asarray(stored[start : start + _AT_ONCE]) @ sought for start in starts])

    def best(self, similarities: np.ndarray) -> Iterator[int]:
        """Rows from the most similar on, by name where they are equal; without those of minus infinity."""
        order = np.argsort(-similarities, kind="stable")
        order = order[similarities[order] > -np.inf]
        first = 0
        while first < len(order):
            last = first + 1
            while last < len(order) and similarities[order[last]] == similarities[order[first]]:
                last += 1
            same = order[first:last].tolist()
            yield from same if len(same) == 1 else sorted(same, key=self.name)
            first = last

    def _line_of(self, row: int) -> bytes:
        return self.table[int(self.rows["begin"][row]) : int(self.rows["end"][row])].tobytes()

    def _is_sound(self, row: int) -> bool:
        check = _check(self._line_of(row), [vectors[row] for vectors in self.vectors.values()])
        return check == self.rows["check"][row]


def task_mark(task: str) -> int:
    """A number that stands for a task's name."""
    return int.from_bytes(blake2b(task.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _line(entry: Entry) -> bytes:
    shape = [entry.prompt_length, entry.hidden_size]
    content = {"name": entry.name, "backbone": entry.backbone, "shape": shape, "facts": entry.facts}
    return json.dumps(content).encode() + b"\n"


def _check(line: bytes, vectors: Sequence[np.ndarray]) -> int:
    check = zlib.crc32(line)
    for vector in vectors:
        check = zlib.crc32(vector.tobytes(), check)
    return check


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _write_at(path: Path, place: int, content: bytes) -> None:
    """Write the end of a file, over what a writer that was killed left there.

    Nothing waits for the disk: what a power cut takes from the vectors, the rows' checks notice.
    """
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        file.truncate(place)
        file.seek(place)
        file.write(content)
