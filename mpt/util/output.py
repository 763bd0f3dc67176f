"""Where this process prints to."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mpt.util.names import printable
from mpt.util.places import open_own


class _Printable(logging.Formatter):
    """Messages without what a terminal would obey: they name what strangers wrote."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().formatMessage(record).split("\n")))


def make_streams_take_all() -> None:
    """Let standard output and error take every text: a file's name may be no UTF-8, a terminal may know ASCII alone.
    Where one of them is closed, what is meant for it does not go into the other. Warnings are shown as texts.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:  # by which our warnings are shown
        logging.lastResort.setFormatter(_Printable())


def data_output() -> TextIO:
    """Standard output for data that another program reads: UTF-8, whatever a terminal here would know."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout


def drop_unwritten() -> None:
    """Forget what standard output does not take: Python would try again at the end, and exit with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send everything this process prints, from C too, to a file; exceptions end there with their traceback.

    Raises:
        UserError: a link, a pipe or a folder is in the file's place.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    number = open_own(log, os.O_APPEND)
    kept = os.dup(1), os.dup(2)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.close(number)
    try:
        yield
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
