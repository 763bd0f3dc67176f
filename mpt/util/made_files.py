"""Filling a folder that a user named: all files of a command or none, and none in the place of a user's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpt.util.errors import UserError
from mpt.util.files import write_json, writing_to
from mpt.util.reading import read_json

MADE = ".made_by_mpt.json"
"""Names the files of a folder that a command of ours made and may make again."""


@contextmanager
def filling(folder: Path, gives_way: Collection[str] = (), private: bool = False) -> Iterator[Path]:
    """A fresh folder whose files take their places in another at the end, if the block ends well.

    Args:
        gives_way: files of ours that go where they are not made anew.
        private: whether nobody but us has files there, as in a study's own folder: what is there is replaced.

    Raises:
        UserError: the folder cannot be written to, or a file would take the place of one that we did not make.
    """
    with writing_to(folder):
        fresh = folder / f".files.{os.getpid()}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            yield fresh
            names = [path.relative_to(fresh).as_posix() for path in sorted(fresh.rglob("*")) if path.is_file()]
            known, stale = _made(folder), set(gives_way) - set(names)
            if not private:
                _refuse_others(folder, set(names) - known)
                write_json(folder / MADE, {"files": sorted(known.union(names) - stale)})
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(fresh / name, folder / name)
            for name in stale if private else stale & known:
                (folder / name).unlink(missing_ok=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _made(folder: Path) -> set[str]:
    try:
        files = read_json(folder / MADE).get("files")
    except UserError:
        return set()
    return {str(name) for name in files} if isinstance(files, list) else set()


def _refuse_others(folder: Path, names: set[str]) -> None:
    if there := sorted(name for name in names if os.path.lexists(folder / name)):
        raise UserError(
            f"{folder / there[0]} is there already, and nothing says that mpt made it; move it away, or name "
            "another folder by --out"
        )
