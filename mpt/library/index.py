"""The index of a library: what a search needs of the entries, kept beside them and never believed against them.

It is a table in an SQLite file, brought up to date when somebody searches or lists, by reading the folders that are new
or other than they were; who adds an entry need not know of it. A file that is written over where it lies, its folder
left as it is, is noticed where a search would return it, and by a list.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpt.library.changes import marks, stamp_of, time_of
from mpt.library.entry import Entry, as_entry
from mpt.library.pooling import POOLS
from mpt.util.errors import UserError
from mpt.util.files import links_below

FILE = "entries-3.sqlite"
"""The number is the format's."""
_AT_ONCE = 1024
"""Entries read before they are written down."""
_WORTH_TELLING = 5000
"""New entries that take so long to read that somebody may wonder."""
_PATIENCE = 5
"""Seconds that a process which holds the file is waited for; the folders say the same without it."""
_SURELY_LATER = 2_000_000_000
"""Nanoseconds after which a change of a folder surely gives it another time."""

log = logging.getLogger(__name__)

Read = Callable[[Path], tuple[Entry, npt.NDArray[np.float32]]]


class IndexRow(NamedTuple):
    """What the index knows of one entry.

    Attributes:
        mark: what its folder was when it was read, see :func:`mpt.library.changes.marks`.
        stamp: what its files were, see :func:`mpt.library.changes.stamp_of`.
        facts: the content of ``mpt.json``, as JSON.
        average_token, per_token: its key as each of these similarities compares it, ``[H]``, float32.
    """

    name: str
    mark: str
    stamp: str
    fingerprint: str
    task: str
    backbone: str
    prompt_length: int
    hidden_size: int
    facts: str
    average_token: bytes
    per_token: bytes

    def entry(self, prompts: Path) -> Entry:
        """The entry that it stands for."""
        facts = json.loads(self.facts)
        return as_entry(prompts / self.name, self.backbone, facts, self.prompt_length, self.hidden_size)

    def checksum(self) -> int:
        """Of all it holds."""
        return zlib.crc32(self.per_token, zlib.crc32(self.average_token, zlib.crc32(repr(self[:-2]).encode())))


_COLUMNS = ", ".join([f"{IndexRow._fields[0]} PRIMARY KEY", *IndexRow._fields[1:], "checksum"])
_PLACES = ", ".join("?" * (len(IndexRow._fields) + 1))


class Index:
    """Pooled keys and facts of the entries in a folder.

    Args:
        prompts: folder of the entries' folders.
        folder: of the index; none, or one that cannot be written to, for one that goes with this process.
        read: reads an entry and its key ``[P, H]``; raises UserError if it is not to be served.

    Attributes:
        rows: of the entries that are served, by name and in the order of names.
        refused: stamp and complaint of each entry that is not, by name.
    """

    def __init__(self, prompts: Path, folder: Path | None, read: Read) -> None:
        self.prompts = prompts
        self.folder = folder
        self.read = read
        self.rows: dict[str, IndexRow] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        self._seen: int | None = None
        self._last = 0  # row of the file that was read

    def update(self, thorough: bool = False) -> None:
        """Bring the index up to date with the folders.

        Args:
            thorough: look at every entry's files too.
        """
        asked, changed = time.time_ns(), time_of(self.prompts)
        mended = {name for name, (stamp, _) in self.refused.items() if stamp_of(self.prompts / name) != stamp}
        if changed == self._seen and not mended and not thorough:
            return
        here = marks(self.prompts)
        self.refused = {name: why for name, why in self.refused.items() if name in here and name not in mended}
        gone = self.rows.keys() - here.keys()
        self.rows = self._as_read(self.rows.values(), here, thorough)
        if self._unknown(here):
            stored = self._stored()  # what other processes read
            unknown = self._unknown(here)
            self.rows |= self._as_read((row for row in stored if row.name in unknown), here, thorough)
            self._read(here, gone | {row.name for row in stored} - here.keys())
        self.rows = dict(sorted(self.rows.items()))
        # A change within one tick of the clock leaves the folder's time as it is.
        self._seen = changed if asked - changed > _SURELY_LATER else None

    def rebuild(self) -> None:
        """Make the index anew from the folders, whatever it holds."""
        self.rows, self.refused, self._seen, self._last = {}, {}, None, 0
        with self._kept_in_memory_if_refused():
            self._clear()
        self.update()

    def is_as_read(self, row: IndexRow) -> bool:
        """Whether a row's entry still has the files that it was read from."""
        return stamp_of(self.prompts / row.name) == row.stamp

    # Inside -------------------------------------------------------------------------------------------------

    def _as_read(self, rows: Iterable[IndexRow], here: dict[str, str], thorough: bool) -> dict[str, IndexRow]:
        same = (row for row in rows if here.get(row.name) == row.mark)
        return {row.name: row for row in same if not thorough or self.is_as_read(row)}

    def _unknown(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if name not in self.rows and name not in self.refused}

    def _read(self, here: dict[str, str], gone: set[str]) -> None:
        """Read the entries that are unknown yet, and write them down in place of those that are gone."""
        names = sorted(self._unknown(here))
        if len(names) >= _WORTH_TELLING:
            log.warning("library %s: %d new entries are read for its index", self.prompts.parent, len(names))
        for start in range(0, len(names), _AT_ONCE):
            rows = self._read_folders(names[start : start + _AT_ONCE], here)
            with self._kept_in_memory_if_refused(), self._database() as database:
                database.executemany("DELETE FROM entries WHERE name = ?", [(name,) for name in gone])
                values = [(*row, row.checksum()) for row in rows]
                database.executemany(f"INSERT OR REPLACE INTO entries VALUES ({_PLACES})", values)

    def _read_folders(self, names: Iterable[str], here: dict[str, str]) -> list[IndexRow]:
        rows = []
        for name in names:
            folder = self.prompts / name
            stamp = stamp_of(folder)
            try:
                rows.append(_row(here[name], stamp, *self.read(folder)))
            except UserError as error:
                if os.path.lexists(folder):  # not removed since it was listed
                    self.refused[name] = (stamp, str(error))
        self.rows |= {row.name: row for row in rows}
        return rows

    def _stored(self) -> list[IndexRow]:
        """The rows of the file that were not read before; one that is damaged is removed."""
        with self._kept_in_memory_if_refused():
            try:
                with self._database() as database:
                    found = self._since(database)
                if None not in found:
                    return [row for row in found if row is not None]
            except (sqlite3.Error, UnicodeError) as error:
                if _is_locked(error):
                    raise
            self._clear()
        return []

    def _since(self, database: sqlite3.Connection) -> list[IndexRow | None]:
        """The rows that were written since the last look, None for each that is damaged."""
        last = _last(database)
        after = self._last if last >= self._last else 0  # another process began anew
        stored = database.execute("SELECT * FROM entries WHERE rowid > ?", (after,))
        found = [_whole(*columns) for columns in stored]
        self._last = last
        return found

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """For one transaction, so that whoever removes a damaged file hardly ever meets somebody at work on it."""
        if self.folder is None:
            raise FileNotFoundError
        _refuse_links(self.folder)
        if not (self.folder / FILE).exists() and self.folder.is_dir():
            for path in self.folder.iterdir():
                if not path.name.startswith(FILE):  # what earlier versions left; another process may be making the file
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.folder.mkdir(exist_ok=True)
        with closing(sqlite3.connect(self.folder / FILE, timeout=_PATIENCE)) as database, database:
            # A process that is killed leaves a whole file even so; what a power cut leaves, the checksums tell.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"CREATE TABLE IF NOT EXISTS entries ({_COLUMNS})")
            yield database

    def _clear(self) -> None:
        if self.folder is not None:
            _refuse_links(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _kept_in_memory_if_refused(self) -> Iterator[None]:
        """Go on without a file where none can be written: a full disk, a folder of somebody else, a link."""
        try:
            yield
        except (sqlite3.Error, UnicodeError, OSError) as error:
            if _is_locked(error):  # by others who write for long, as to a slow disk: this time alone
                return
            if self.folder is not None and type(error) is sqlite3.DatabaseError:  # damaged where only a writer looks
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def _is_locked(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _whole(*columns: Any) -> IndexRow | None:
    """A row as it was written down; None if it is not."""
    with suppress(TypeError):  # another number of columns, or other kinds
        row = IndexRow(*columns[:-1])
        return row if row.checksum() == columns[-1] else None
    return None


def _last(database: sqlite3.Connection) -> int:
    """Number of the row that was written last."""
    return database.execute("SELECT max(rowid) FROM entries").fetchone()[0] or 0


def _refuse_links(folder: Path) -> None:
    """What is written and removed must not be somewhere else."""
    link = folder if folder.is_symlink() else next((folder / name for name in links_below(folder)), None)
    if link is not None:
        log.warning("%s is a link, which could lead anywhere: the index is left as it is and not used", link)
        raise PermissionError(link)


def _row(mark: str, stamp: str, entry: Entry, key: npt.NDArray[np.float32]) -> IndexRow:
    prompts = key[None].astype(np.float64)
    pooled = {name: pool(prompts)[0].astype("<f4").tobytes() for name, pool in POOLS.items()}
    learned = (entry.fingerprint, entry.task, entry.backbone, entry.prompt_length, entry.hidden_size)
    return IndexRow(entry.name, mark, stamp, *learned, json.dumps(entry.facts), **pooled)
