"""The index of a library: what a search needs of the entries, kept beside them and never believed against them.

It is brought up to date when somebody searches or lists, by reading the folders that are new or other than they were;
who adds an entry need not know of it. A file that is written over where it lies, its folder left as it is, is noticed
where a search would return it, and by a list. One shard per backbone, so that no search can mix two.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import IO

import numpy as np
from torch import Tensor

from mpt.library.entry import FILES, KEY, Entry
from mpt.library.shard import DamagedIndex, Indexed, Shard
from mpt.util.errors import UserError
from mpt.util.files import links_below, open_lock, write_text

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

_FORMAT = "2-"
_CURRENT, _LOCK, _LISTED = "current", "lock", f"listed-{_FORMAT[0]}"
_AT_ONCE = 1024
"""Entries read before they are written down."""
_WORTH_TELLING = 5000
"""New entries that take so long to read that somebody may wonder."""
_SURELY_LATER = 2_000_000_000
"""Nanoseconds after which a change of a folder surely gives it another time."""

_LOOKED_AT = ["", *(f"/{name}" for name in FILES), f"/{KEY}", *(f"/{KEY}/{name}" for name in FILES)]
"""What of an entry is looked at to see whether it changed; strings, as a hundred thousand Paths take seconds."""

log = logging.getLogger(__name__)

Read = Callable[[Path], tuple[Entry, Tensor]]


class Index:
    """Pooled keys and facts of the entries in a folder.

    Args:
        prompts: folder of the entries' folders.
        folder: of the index; none, or one that cannot be written to, for one that goes with this process.
        read: reads an entry; raises UserError if it is not to be served.

    Attributes:
        shards: the rows, by backbone.
        refused: name, stamp and complaint of each entry that is not served, by mark.
    """

    def __init__(self, prompts: Path, folder: Path | None, read: Read) -> None:
        self.prompts = prompts
        self.read = read
        self.shards: dict[str, Shard] = {}
        self.refused: dict[int, tuple[str, int, str]] = {}
        self._here = np.empty(0, "<u8")
        self._seen: int | None = None
        self._generation = ""
        # Without locks processes cannot share one.
        shared = folder is not None and fcntl is not None and _writable(folder)
        self.folder = folder if folder is not None and shared else self._own_folder()

    def update(self, doubted: frozenset[int] = frozenset()) -> None:
        """Bring the index up to date with the folders.

        Args:
            doubted: marks of entries whose files are not what the index says; they are read again.
        """
        mended = {mark for mark, (name, stamp, _) in self.refused.items() if stamp_of(self.prompts / name) != stamp}
        for mark in mended:
            del self.refused[mark]
        asked = time.time_ns()
        changed = _time_of(self.prompts)
        if not (mended or doubted) and changed == self._seen and self._generation == self._current():
            return
        listed = bool(mended or doubted) or not self._was_listed(changed)
        if listed:
            self._list(doubted)
        self._set_alive()
        # A change within one tick of the clock leaves the folder's time as it is.
        self._seen = changed if asked - changed > _SURELY_LATER else None
        if listed and self._seen is not None:
            self._tell_listed(changed)

    def complaints(self) -> dict[str, str]:
        """What is wrong with the entries that are not served, by name."""
        return {name: complaint for name, _, complaint in self.refused.values()}

    def rebuild(self) -> None:
        """Make the index anew from the folders, whatever it holds."""
        with self._locked():
            self._begin_anew()
        self.refused, self._seen = {}, None
        self.update()

    def shard(self, fingerprint: str, width: int) -> Shard | None:
        """What holds the entries of one backbone; none if there are none."""
        return self.shards.get(_shard_name(fingerprint, width))

    def widths(self, fingerprint: str) -> set[int]:
        """The hidden sizes of the entries of one backbone: one, if nothing is wrong."""
        name = _shard_name(fingerprint, 0).removesuffix("0")
        return {shard.width for key, shard in self.shards.items() if key.startswith(name) and shard.alive.any()}

    def is_as_read(self, shard: Shard, row: int) -> bool:
        """Whether a row's entry still has the files that it was read from."""
        return stamp_of(self.prompts / shard.name(row)) == int(shard.rows["stamp"][row])

    def changed(self, shard: Shard) -> frozenset[int]:
        """Marks of the entries whose files have changed since they were read."""
        rows = np.flatnonzero(shard.alive).tolist()
        return frozenset(int(shard.rows["mark"][row]) for row in rows if not self.is_as_read(shard, row))

    # Inside -------------------------------------------------------------------------------------------------

    def _list(self, doubted: frozenset[int]) -> None:
        names, here = marks(self.prompts)
        self._here = here
        there = set(here.tolist()) if self.refused else set()
        self.refused = {mark: refusal for mark, refusal in self.refused.items() if mark in there}
        if not self._refresh() or len(self._missing(doubted)):
            with self._locked():
                if not self._refresh():  # another process may have been at it meanwhile
                    self._begin_anew()
                missing = self._missing(doubted)
                self._take_in([names[i] for i in missing], here[missing])

    def _was_listed(self, changed: int) -> bool:
        """Whether another process listed the folders as they are, and the index has them all."""
        try:
            content = np.fromfile(self.folder / _LISTED, "<u8")
        except OSError:
            return False
        if len(content) < 2 or content[0] != changed or content[1] != zlib.crc32(content[2:].tobytes()):
            return False
        self._here = content[2:]
        return self._refresh() and not len(self._missing(frozenset()))

    def _tell_listed(self, changed: int) -> None:
        """Spare the next process the listing, which takes half a second where there are 100,000."""
        content = np.array([changed, zlib.crc32(self._here.tobytes())], "<u8").tobytes() + self._here.tobytes()
        fresh = self.folder / f".{_LISTED}.{os.getpid()}.new"
        with contextlib.suppress(OSError):
            fresh.write_bytes(content)
            os.replace(fresh, self.folder / _LISTED)

    def _refresh(self) -> bool:
        """Take in what other processes wrote: whether there is an index, and it is sound."""
        while True:
            generation = self._current()
            try:
                if generation != self._generation:
                    self.shards, self._generation = {}, generation
                for path in sorted((self.folder / generation).glob("*")) if generation else ():
                    self.shards.setdefault(path.name, Shard(path, int(path.name.rpartition("-")[2])))
                for shard in self.shards.values():
                    shard.refresh()
                return bool(generation)
            except (DamagedIndex, OSError, ValueError):
                if self._current() == generation:
                    self.shards = {}
                    return False

    def _missing(self, doubted: frozenset[int]) -> np.ndarray:
        """Places in the list of folders of those that have no row and were not refused."""
        known = [shard.marks for shard in self.shards.values()]
        unread = ~np.isin(self._here, np.concatenate(known)) if known else np.ones(len(self._here), bool)
        if doubted:
            unread |= np.isin(self._here, np.fromiter(doubted, "<u8", len(doubted)))
        unread &= ~np.isin(self._here, np.fromiter(self.refused, "<u8", len(self.refused)))
        return np.flatnonzero(unread)

    def _take_in(self, names: list[str], folder_marks: np.ndarray) -> None:
        if len(names) >= _WORTH_TELLING:
            log.warning("library %s: %d new entries are read for its index", self.prompts.parent, len(names))
        for start in range(0, len(names), _AT_ONCE):
            found: dict[str, list[Indexed]] = {}
            for name, mark in zip(names[start : start + _AT_ONCE], folder_marks[start:].tolist(), strict=False):
                folder = self.prompts / name
                stamp = stamp_of(folder)
                try:
                    entry, key = self.read(folder)
                except UserError as error:
                    if not os.path.lexists(folder):
                        continue  # removed since it was listed
                    self.refused[mark] = (name, stamp, str(error))
                    continue
                shard = _shard_name(entry.fingerprint, entry.hidden_size)
                found.setdefault(shard, []).append(Indexed(mark, stamp, entry, key))
            for shard, entries in found.items():
                path = self.folder / self._generation / shard
                self.shards.setdefault(shard, Shard(path, entries[0].entry.hidden_size)).append(entries)

    def _set_alive(self) -> None:
        """Of the rows of a folder that is there, in whatever shard, the one written last counts."""
        shards = list(self.shards.values())
        if not shards:
            return
        all_marks = np.concatenate([shard.marks for shard in shards])
        order = np.lexsort((np.concatenate([shard.rows["written"] for shard in shards]), all_marks))
        last = np.ones(len(order), bool)
        last[:-1] = np.diff(all_marks[order]) != 0
        alive = np.zeros(len(order), bool)
        alive[order[last]] = True
        alive &= np.isin(all_marks, self._here)
        alive &= ~np.isin(all_marks, np.fromiter(self.refused, "<u8", len(self.refused)))
        ends = np.cumsum([len(shard.rows) for shard in shards])
        for shard, part in zip(shards, np.split(alive, ends[:-1]), strict=True):
            shard.alive = part

    def _current(self) -> str:
        try:
            name = (self.folder / _CURRENT).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""
        known = name.startswith(_FORMAT) and name.replace("-", "").isalnum()
        return name if known and (self.folder / name).is_dir() else ""

    def _begin_anew(self) -> None:
        """An empty index in place of the one that is there; who reads the old one has it open."""
        generation = _FORMAT + secrets.token_hex(8)
        (self.folder / generation).mkdir(parents=True)
        write_text(self.folder / _CURRENT, generation)
        for path in self.folder.glob("[0-9]-*"):
            if path.name != generation:
                shutil.rmtree(path, ignore_errors=True)
        self.shards, self._generation = {}, generation

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one who writes the index, when those before have finished."""
        with self._lock() as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _lock(self) -> IO[str]:
        try:
            self.folder.mkdir(exist_ok=True)  # somebody may have removed it since
            return open_lock(self.folder / _LOCK)
        except OSError:
            self.folder = self._own_folder()
            return open_lock(self.folder / _LOCK)

    def _own_folder(self) -> Path:
        temporary = tempfile.mkdtemp(prefix="mpt-library-")
        # A worker of a pool ends without what the weakref module does at the end of a process.
        Finalize(self, shutil.rmtree, (temporary,), {"ignore_errors": True}, exitpriority=0)
        return Path(temporary)


def marks(prompts: Path) -> tuple[list[str], np.ndarray]:
    """The names in a folder, and of each a number that is another when its folder is another.

    It comes from the name, the inode and the time of the folder's last change, so that no file has to be looked at. The
    inode alone does not do: one that a removed folder had is given to the next.
    """
    names, numbers = [], []
    try:
        with os.scandir(prompts) as listing:
            for item in listing:
                if item.name.startswith("."):
                    continue
                try:
                    facts = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed since it was listed
                names.append(item.name)
                name = zlib.crc32(item.name.encode("utf-8", "surrogateescape"))
                numbers.append(name << 32 | zlib.crc32(b"%d %d" % (facts.st_ino, facts.st_ctime_ns)))
    except FileNotFoundError:
        pass
    return names, np.array(numbers, "<u8")


def stamp_of(folder: Path) -> int:
    """A number that is another when a file of an entry is another, or is changed."""
    seen = []
    place = str(folder)
    for name in _LOOKED_AT:
        try:
            facts = os.stat(place + name)
            seen.append((facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino))
        except OSError:
            seen.append((0, 0, 0, 0))
    return int.from_bytes(hashlib.blake2b(repr(seen).encode(), digest_size=8).digest(), "little")


def _time_of(folder: Path) -> int:
    """When its names last changed; unlike the time of modification nobody can set it."""
    try:
        return os.stat(folder).st_ctime_ns
    except OSError:
        return 0


def _shard_name(fingerprint: str, width: int) -> str:
    # A fingerprint is whatever somebody's facts say, and no name for a folder.
    return f"{hashlib.sha256(fingerprint.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}-{width}"


def _writable(folder: Path) -> bool:
    # What is written and removed here must not be somewhere else.
    if link := _first_link(folder):
        log.warning("%s is a link, which could lead anywhere: the index is left as it is and not used", link)
        return False
    try:
        folder.mkdir(exist_ok=True)
        open_lock(folder / _LOCK).close()
    except OSError:
        return False
    return True


def _first_link(folder: Path) -> Path | None:
    if folder.is_symlink():
        return folder
    return next((folder / name for name in links_below(folder)), None)
