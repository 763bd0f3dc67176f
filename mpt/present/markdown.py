"""A page as Markdown, of which its HTML is made too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpt.present.table import Table, TableCell


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


MARKS = "\\|<*`["
"""Signs that a cell's texts have escaped."""

Block = str | Table | Figure
"""A part of a page; texts are Markdown: ``## Heading``, a paragraph, a list, with ``**bold**`` and ```code```."""


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def code(text: str) -> str:
    """Commands as they are typed."""
    return f"```\n{text}\n```"


def markdown(blocks: Sequence[Block]) -> str:
    """The text of the page, of blocks that are not empty; figures are named by their files."""
    return "\n\n".join(_block(block) for block in blocks if block) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Figure):
        file = f"<{block.file}>" if set(block.file) & set(" ()") else block.file
        return f"![{block.about}]({file})"
    return block if isinstance(block, str) else _table(block)


def _table(table: Table) -> str:
    rules = [":--" if i < table.texts else "--:" for i in range(len(table.head))]
    lines = [f"| {' | '.join(map(_cell, table.head))} |", f"|{'|'.join(rules)}|"]
    for i, row in enumerate(table.rows):
        cells = [f"**{_cell(cell)}**" if (i, j) in table.bold else _cell(cell) for j, cell in enumerate(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(cell: TableCell) -> str:
    """Plain text that Markdown shows as it is; a name may be a stranger's."""
    return re.sub(r"[\\|*`\[]|<(?=[a-zA-Z/!?])", r"\\\g<0>", " ".join(str(cell).split()))
