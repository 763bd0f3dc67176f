"""Filling a folder that a user named: all files of a command or none, and none in the place of a user's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpt.util.errors import UserError
from mpt.util.files import write_json, writing_to
from mpt.util.reading import read_json

MADE = ".made_by_mpt.json"
"""Names the files of a folder that a command of ours made and may make again."""


@contextmanager
def filling(folder: Path, ours: Collection[str] | None = None) -> Iterator[Path]:
    """A fresh folder whose files take their places in another at the end, if the block ends well.

    Args:
        ours: where nobody but us has files, as in a study's own folder: what is there is replaced, and of these files
            those that are not made anew give way.

    Raises:
        UserError: the folder cannot be written to, or a file would take the place of one that we did not make.
    """
    with writing_to(folder):
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            yield fresh
            names = [path.relative_to(fresh).as_posix() for path in sorted(fresh.rglob("*")) if path.is_file()]
            if ours is None:
                known = _made(folder)
                _refuse_others(folder, set(names) - known)
                write_json(folder / MADE, {"files": sorted(known.union(names))})
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(fresh / name, folder / name)
            for name in set(ours or ()) - set(names):
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
            f"{folder / there[0]} is there already, and not as a file that this command made; move it away, or name "
            "another folder by --out"
        )
