"""Reading what anybody may have written: regular files alone, none larger than it can sensibly be, and strict JSON.

What is no file is told by an ``OSError`` whose ``strerror`` ends a sentence, as the system's own are.
"""

from __future__ import annotations

import errno
import json
import math
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, AnyStr, BinaryIO, TypeVar

from mpt.util.errors import UserError

Row = TypeVar("Row")

LARGEST = 64 << 20
"""Bytes of a file that is read as a whole."""
LARGEST_DATA = 1 << 30
"""The same where it has a row for each of many examples."""
DEEPEST = 50
"""How many lists and mappings may lie in each other."""
LONGEST_LINE = 16 << 20
_TOO_DEEP = "it is nested too deeply"
LONGEST_NUMBER = 30
"""Digits of a whole number in a file that this package wrote."""


def open_file(path: Path, largest: int | None = None) -> BinaryIO:
    """A file, open to be read as bytes.

    Args:
        largest: bytes that it may have; any number if not given.

    Raises:
        OSError: it cannot be read, is a folder, a pipe, which would be waited for, or a device, which may have no end;
            or is too large.
    """
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    if largest is not None and about.st_size > largest:
        raise _too_large(path, about.st_size, largest)
    return path.open("rb")


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """All of a file.

    Raises:
        OSError: see :func:`open_file`.
    """
    with open_file(path, largest) as file:
        content = file.read(largest + 1)  # the system's own files say that they are empty, and some never end
    if len(content) > largest:
        raise _too_large(path, len(content), largest)
    return content


def lines_of(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """The lines of an open file.

    Raises:
        OSError: one is longer than a text's can be.
    """
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise OSError(
                errno.EFBIG, f"line {number} is longer than {LONGEST_LINE >> 20} MB, which is no text to read"
            )
        yield line


def is_writable(text: str) -> bool:
    """Whether a file of lines of text can hold it: no null byte, and no half of a sign (JSON can name one)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def why_unread(error: OSError | ValueError) -> str:
    """Why bytes could not be read, or were no text: the end of a sentence."""
    if isinstance(error, OSError):
        return error.strerror or "the system does not say why"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "that cannot be a file's name"


def _too_large(path: Path, size: int, largest: int) -> OSError:
    told = f"it has {size / 2**20:,.0f} MB, and of such a file no more than {largest / 2**20:.0f} MB are read"
    return OSError(errno.EFBIG, told, str(path))


def read_text(path: Path, kind: str) -> str:
    """A file's text.

    Args:
        kind: of file, for a complaint: ``task file``.

    Raises:
        UserError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except (OSError, ValueError) as error:
        name = path if str(path).isprintable() else repr(str(path))
        raise UserError(f"Cannot read the {kind} {name}: {why_unread(error)}.") from error


def parse_json(text: str, digits: int = LONGEST_NUMBER, strict: bool = False) -> Any:
    """What a JSON text holds.

    Args:
        digits: that a whole number may have.
        strict: that it can be written as JSON again: NaN is null, as which some programs mean it, and a number that is
            infinite, or a key that an object has twice, is refused.

    Raises:
        ValueError: it is none, or lists and objects lie in each other without end; its message ends a sentence.
    """

    def whole(number: str) -> int:
        if len(number) > digits:
            raise ValueError(f"{number[:digits]}… is too large a number")
        return int(number)

    try:
        content = json.loads(text, parse_int=whole, **(_STRICT if strict else {}))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [content]
    for _ in range(DEEPEST + 1):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return content
    raise ValueError(_TOO_DEEP)


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is no number of JSON")


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number:.30} is too large a number")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


_STRICT: dict[str, Any] = {"parse_constant": _constant, "parse_float": _finite, "object_pairs_hook": _distinct}


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_json(path: Path, wrong: str = "delete it, and the same command writes it anew") -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        wrong: what to do where it is none.

    Raises:
        UserError: it is not what was written.
    """
    try:
        content = parse_json(read_bytes(path).decode("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent}: {path.name} is missing") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        why = why_unread(error) if isinstance(error, UnicodeDecodeError) else error
        raise UserError(f"{path} cannot be read: not valid JSON ({why})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; {wrong}")
    return content


def read_json_lines(
    path: Path, kind: str, row: Callable[[Any], Row], cut_short: bool = False, way_on: str = ""
) -> list[Row]:
    """The rows of a file with JSON in each line.

    Args:
        kind: of row, for a complaint: ``evaluation of a run``.
        row: makes a row of what a line holds; raises a ``ValueError`` that ends a sentence where it is none.
        cut_short: whether a kill may have left a part of a line at the end, which is left out.
        way_on: the end of a complaint.

    Raises:
        UserError: the file cannot be read, or a line is no such row; names file and line.
    """
    try:
        content = read_bytes(path, LARGEST_DATA)
        if cut_short:
            content = content[: content.rfind(b"\n") + 1]
        lines = content.decode("utf-8").removesuffix("\n").split("\n") if content else []
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {why_unread(error)}{way_on}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(row(parse_json(line)))
        except ValueError as error:
            raise UserError(f"{path}, line {number} is no {kind}: {error}{way_on}") from error
    return rows
