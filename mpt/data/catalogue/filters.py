"""What a template may do to a value on its way into the text: ``{context:clean}``, ``{answers:distinct|strip}``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_SPACES = str.maketrans("\n\t\r", "   ")


def clean(text: str) -> str:
    """One line: every run of white space, and every line break spelled as a backslash and an n, is one space."""
    return " ".join(text.replace("\\n", " ").split())


def one_line(text: str) -> str:
    """Line feeds as spaces, and nothing else changed."""
    return text.replace("\n", " ")


def spaced(text: str) -> str:
    """Each line feed, tab and carriage return as a space, and nothing else changed."""
    return text.translate(_SPACES)


def spelled_breaks(text: str) -> str:
    """Each line break spelled as a backslash and an n as a space, and nothing else changed."""
    return text.replace("\\n", " ")


def marked_lines(text: str) -> str:
    """Each line feed as `` [n] ``, which keeps the rows of a table apart."""
    return text.replace("\n", " [n] ")


def unspaced(text: str) -> str:
    """Without its spaces."""
    return text.replace(" ", "")


def commas(text: str) -> str:
    """Commas for ``_comma_``, as a comma is written in some sources."""
    return text.replace("_comma_", ",")


def unquoted(text: str) -> str:
    """Without the single quotation marks, or apostrophes, at its ends."""
    return text.strip("'")


def distinct(values: Sequence[Any]) -> list[Any]:
    """Each value once, in the order of first occurrence."""
    return list(dict.fromkeys(values))


def ordered(values: Sequence[Any]) -> list[Any]:
    """In the order of their characters, capitals before small letters."""
    return sorted(values)


def joined(values: Sequence[Any]) -> str:
    """Words with a space between."""
    return " ".join(values)


def comma_joined(values: Sequence[Any]) -> str:
    """Words with a comma and a space between."""
    return ", ".join(values)


TEXT_FILTERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower": str.lower,
    "clean": clean,
    "one_line": one_line,
    "spaced": spaced,
    "spelled_breaks": spelled_breaks,
    "marked_lines": marked_lines,
    "unspaced": unspaced,
    "commas": commas,
    "unquoted": unquoted,
}
"""From text to text; of a list, they take each element."""

LIST_FILTERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "distinct": distinct,
    "ordered": ordered,
    "joined": joined,
    "comma_joined": comma_joined,
}
"""Of a whole list."""
