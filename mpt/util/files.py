"""Writing so that a reader, or a kill, never meets half a file; and folders that nothing leads out of."""

import ctypes
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from mpt.util.errors import UserError, fault_of_the_system
from mpt.util.places import open_own, place_of, refuse_link

LOCK = ".lock"
"""What :func:`only_one` leaves in a folder."""
_LEFT = re.compile(r"\..+\.\d+\.(new|old)")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A fresh folder to write into; it becomes ``folder`` if the block ends well, and vanishes otherwise.

    Its files get the modes that the process gives to new ones, whatever the library that wrote them chose.

    Raises:
        UserError: see :func:`mpt.util.places.place_of`.
    """
    place = place_of(folder)
    fresh = place.with_name(f".{place.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with written_for(folder):
            fresh.mkdir(parents=True)
            yield fresh
            _set_modes(fresh)
            _put(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put(fresh: Path, folder: Path) -> None:
    """Give a folder the name of another, which is removed or has the fresh one's name then."""
    if not folder.exists():
        os.rename(fresh, folder)
    elif not _exchange(fresh, folder):
        # Without an exchange there is a moment between two renames in which the folder has only its old name.
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
        try:
            os.rename(fresh, folder)
        except BaseException:
            os.rename(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def written_for(path: Path) -> Iterator[None]:
    """Let a full disk and its like be told of the path that the user knows, whoever wrote."""
    try:
        yield
    except Exception as error:
        fault = fault_of_the_system(error)
        if fault is None:
            raise
        # Of the file that is written first, or of one in the folder that is, nobody else knows.
        if fault.filename is not None and not any(map(_LEFT.fullmatch, Path(str(fault.filename)).parts)):
            raise
        raise OSError(fault.errno, fault.strerror, str(path)) from error


def _set_modes(fresh: Path) -> None:
    # The folder itself was made with the umask, which cannot be asked for without changing it for other threads.
    mode = fresh.stat().st_mode & 0o777
    for path in fresh.rglob("*"):
        if not path.is_symlink():
            path.chmod(mode if path.is_dir() else mode & 0o666)


def clear_left(folder: Path) -> None:
    """Remove what killed processes left of a :func:`new_folder` in a folder that no other process writes to now."""
    for path in folder.glob(".*"):
        if _LEFT.fullmatch(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def only_one(folder: Path, complaint: str) -> Iterator[None]:
    """Hold a folder, which is made if need be, so that no second process does the same in it.

    The hold ends with the process, however that ends.

    Raises:
        UserError: ``complaint``: another process holds it; or the folder cannot be written to, or its lock is no file.
    """
    try:
        import fcntl
    except ImportError:  # not a Unix
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = open_own(folder / LOCK)
    except OSError as error:
        raise UserError(f"Cannot write to the folder {folder}: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(complaint) from None
        yield
    finally:
        os.close(number)


@contextmanager
def at_work(folder: Path, complaint: str) -> Iterator[None]:
    """Be the only one in a hidden folder of unfinished work, as :func:`only_one`; it must be a folder, not a link."""
    refuse_link(folder)
    with only_one(folder, complaint):
        yield


@contextmanager
def held(folder: Path, complaint: str) -> Iterator[None]:
    """Hold a folder, which is made if need be, by a lock on the folder itself: nothing is left in it.

    The hold ends with the process, however that ends, and goes with a folder that is renamed. Where the system cannot
    lock folders, nothing is held.

    Raises:
        UserError: ``complaint``: another holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl

        number = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # not a Unix
        yield
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(complaint) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        # Said, not left to closing: processes that load batches were forked meanwhile and have it open too.
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_UN)
        os.close(number)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths swap what they name, in one system call where there is one (Linux)."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if renameat2 is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def writing_to(folder: Path, option: str = "--out") -> Iterator[None]:
    """Make a folder that an option named, and write to it.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except FileExistsError as error:
        raise UserError(f"cannot write to the folder {folder}: it is a file; name another by {option}") from error
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write to the folder {folder}: {why}; name another by {option}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write a file to; it takes the place of ``path`` in one step if the block ends well, and vanishes
    otherwise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)  # a link would be written through
    try:
        with written_for(path):
            yield fresh
            os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file or nothing."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def inside(folder: Path, path: Path) -> bool:
    """Whether a path, after all links in it, is in a folder still; the folder itself may be given by a link.

    Of a snapshot in the cache of a hub (``<repository>/snapshots/<commit>/``) the blobs of that repository are a part.
    """
    try:
        root, real = folder.resolve(), path.resolve()
    except (OSError, RuntimeError):  # links that lead to one another
        return False
    cached = [above.parents[1] / "blobs" for above in (root, *root.parents) if above.parent.name == "snapshots"]
    return any(real.is_relative_to(one) for one in (root, *cached))


def refuse_links(folder: Path, names: Iterable[str], what: str) -> None:
    """Refuse a folder in which one of some names leads out of it.

    Args:
        names: paths below the folder.
        what: what the folder is called.

    Raises:
        UserError: one does.
    """
    for name in names:
        if not inside(folder, folder / name):
            raise UserError(f"{what}: {name} leads out of its folder by a link, which is not followed; copy the file")


def links_below(folder: Path, skip: str = "") -> Iterator[str]:
    """Path in a folder of each link below it, at any depth, but in folders of the name ``skip``."""
    for place, folders, files in os.walk(folder):
        if skip in folders:
            folders.remove(skip)
        for name in (*folders, *files):
            if os.path.islink(os.path.join(place, name)):
                yield os.path.relpath(os.path.join(place, name), folder)


def check_below(name: str, what: str) -> str:
    """A path that an option gives below the run's folder.

    Raises:
        UserError: it would lie outside.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise UserError(f"{what} {name!r} is a place in the run's folder; give a name without .. in it")
    return name


def is_folder_name(name: str) -> bool:
    """Whether a text names a folder inside another, and cannot lead out of it."""
    return name not in ("", ".", "..") and name == PurePosixPath(name).name and not set(name) & set("\\\0\n\r\t")


def refuse_full(folder: Path, option: str) -> None:
    """Refuse a folder to write to that holds something.

    Args:
        option: that names it.

    Raises:
        UserError: it does, or its name is none.
    """
    if not is_folder_name(folder.name):
        raise UserError(f"{option} {folder} names no folder")
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{option} {folder} exists; name another folder, or remove it")
