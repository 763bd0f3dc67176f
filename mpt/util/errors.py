"""The one exception for a user's mistake."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Something the user gave is wrong: a file, a line, an option, a name.

    The message is one clear sentence that names what is wrong and what would be right. The command line prints it
    without a traceback and exits with 2; in Python it is an ordinary exception.
    """


class Diverged(UserError):
    """Training stopped itself because its numbers ran away; what was learned before is still good."""


KEPT = " What was learned before is kept."
"""What such a complaint ends with, where something was."""


class NotFinite(Diverged):
    """The loss of what is learned now is NaN or infinite: only what was kept before is good."""


def mistake_behind(error: BaseException | None) -> UserError | None:
    """The user's mistake behind an exception: libraries that build our objects wrap what these raise."""
    return next((one for one in causes(error) if isinstance(one, UserError)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised from or beside, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


_OF_THE_SYSTEM = {
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "ENOTDIR", "EISDIR", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "EIO"),
        *("EMFILE", "ENFILE", "ENXIO"),
    )
    if hasattr(errno, name)
}
_NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_OF_RUST = re.compile(r"\(os error (\d+)\)")


_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|not enough memory", re.IGNORECASE)


def system_mistake(error: BaseException | None) -> UserError | None:
    """What the system did not allow, where that is behind an exception and not a fault of ours: a name that is too
    long, a folder that may not be read, a full disk, more memory than there is.
    """
    for one in causes(error):
        if isinstance(one, MemoryError) or (isinstance(one, RuntimeError) and _NO_MEMORY.search(str(one))):
            return UserError(
                "the memory does not suffice; take a shorter prompt, smaller batches, shorter inputs, fewer beams or a "
                f"smaller backbone ({one_line(one)})"
            )
        if (fault := _fault(one)) is not None:
            return UserError(_sentence(fault))
        if isinstance(one, FileNotFoundError) and not one.filename and not _here():
            return UserError("the folder that this is called in has been removed; go to another, and try again")
    return None


def _here() -> bool:
    """Whether the folder one stands in exists."""
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def fault_of_the_system(error: BaseException | None) -> OSError | None:
    """What a call of the system said, where that is behind an exception and not a fault of ours."""
    return next(filter(None, map(_fault, causes(error))), None)


def _fault(error: BaseException) -> OSError | None:
    if isinstance(error, OSError):
        return error if error.errno in _OF_THE_SYSTEM else None
    told = _OF_RUST.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return OSError(int(told[1]), os.strerror(int(told[1]))) if told and int(told[1]) in _OF_THE_SYSTEM else None


def _sentence(fault: OSError) -> str:
    told = f"{fault.filename}: {fault.strerror}" if fault.filename else f"{fault.strerror}"
    if fault.errno not in _NO_ROOM:
        return told
    if not fault.filename:  # standard output, or a library that does not say where it wrote
        return f"{told}: make room where this writes to, and give the command again"
    place = Path(str(fault.filename)).absolute()
    while not place.exists():
        place = place.parent
    return f"{told}; {shutil.disk_usage(place).free / 1e6:.1f} MB are free there: make room, and give the command again"


def one_line(error: BaseException) -> str:
    """An exception as its type and the first line of what it says."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
