"""The one exception for a user's mistake."""

import errno
import re


class UserError(Exception):
    """Something the user gave is wrong: a file, a line, an option, a name.

    The message is one clear sentence that names what is wrong and what would be right. The command line prints it
    without a traceback and exits with 2; in Python it is an ordinary exception.
    """


class Diverged(UserError):
    """Training stopped itself because its numbers ran away; what was learned before is still good."""


class NotFinite(Diverged):
    """The loss of what is learned now is NaN or infinite: only what was kept before is good."""


def mistake_behind(error: BaseException | None) -> UserError | None:
    """The user's mistake behind an exception: libraries that build our objects wrap what these raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


_OF_THE_SYSTEM = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "ENOTDIR", "EISDIR", "EROFS", "ENOSPC", "EDQUOT", "EMFILE")
    if hasattr(errno, name)
}


_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|not enough memory", re.IGNORECASE)


def system_mistake(error: BaseException | None) -> UserError | None:
    """What the system did not allow, where that is behind an exception and not a fault of ours: a name that is too
    long, a folder that may not be read, a full disk, more memory than there is.
    """
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
            return UserError(
                "the memory does not suffice; take a shorter prompt, smaller batches, shorter inputs, fewer beams or a "
                f"smaller backbone ({one_line(error)})"
            )
        if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
            return UserError(f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror}")
        error = error.__cause__ or error.__context__
    return None


def one_line(error: BaseException) -> str:
    """An exception as its type and the first line of what it says."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
