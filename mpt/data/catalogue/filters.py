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


TEXT_FILTERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower": str.lower,
    "clean": clean,
    "one_line": one_line,
    "spaced": spaced,
    # each line break spelled as a backslash and an n as a space
    "spelled_breaks": lambda text: text.replace("\\n", " "),
    # each line feed so that it keeps the rows of a table apart
    "marked_lines": lambda text: text.replace("\n", " [n] "),
    "unspaced": lambda text: text.replace(" ", ""),
    # as a comma is written in some sources
    "commas": lambda text: text.replace("_comma_", ","),
    # without the single quotation marks, or apostrophes, at its ends
    "unquoted": lambda text: text.strip("'"),
}
"""From text to text; of a list, they take each element."""

LIST_FILTERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    # each value once, in the order of first occurrence
    "distinct": lambda values: list(dict.fromkeys(values)),
    # in the order of their characters, capitals before small letters
    "ordered": sorted,
    "joined": " ".join,
    "comma_joined": ", ".join,
}
"""Of a whole list."""
