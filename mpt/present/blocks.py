"""A page as a list of blocks: its Markdown is written from them, and its HTML from that.

Texts know ``**bold**`` and ```code```.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpt.present.table import Table


@dataclass(frozen=True)
class Heading:
    """Of level 1, the page's, to 3."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """One paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: list[str]


@dataclass(frozen=True)
class Code:
    """Commands as they are typed."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A picture of a report.

    Attributes:
        file: below the report's folder; in a study of several settings those of a setting are in a folder of its name.
        kind: file name without folder.
        setting: whose it is; none if it is of all.
        about: what it shows, for those who cannot see it.
    """

    file: str
    kind: str
    setting: str | None
    about: str


Block = Heading | Paragraph | Bullets | Code | Table | Figure
