"""Places to write to, looked at before: a stranger may have put a link, a pipe or another thing there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mpt.util.errors import UserError

_FLAGS = sum(getattr(os, name, 0) for name in ("O_RDWR", "O_CREAT", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def open_own(path: Path, flags: int = 0) -> int:
    """Descriptor, to read and write, of a file that is made if need be: not of what a link leads to, nor of a pipe,
    which would be waited for.

    Raises:
        OSError: it cannot be opened.
        UserError: something else is there.
    """
    wrong = f"{path} is a link, a folder or a pipe, and a file of ours belongs there; remove it"
    try:
        number = os.open(path, _FLAGS | flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise UserError(wrong) from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UserError(wrong)
    return number


def refuse_link(folder: Path) -> None:
    """Refuse a folder of ours that is a link.

    Raises:
        UserError: it is.
    """
    if folder.is_symlink():
        raise UserError(f"{folder} is a link, which could lead anywhere; remove it")


def place_of(folder: Path) -> Path:
    """Where a folder lies, or is to be made: what a link leads to, where that is a folder.

    Raises:
        UserError: something else than a folder is there.
    """
    if folder.is_dir():
        return folder.resolve() if folder.is_symlink() else folder
    if os.path.lexists(folder):
        what = "a link that leads to no folder" if folder.is_symlink() else "no folder"
        raise UserError(f"{folder} is {what}; remove it, or name another")
    return folder


def expanded(path: Path | str) -> Path:
    """A path with the folder that ``~`` or ``~name`` at its beginning stands for.

    Raises:
        UserError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        name = Path(path).parts[0]
        raise UserError(f"{path}: {name} has no home folder; if a file is called so, give its whole path") from error
