"""A page as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from mpt.present.blocks import Block, Bullets, Code, Figure, Heading, Paragraph
from mpt.present.table import Table, TableCell


def markdown(blocks: Sequence[Block]) -> str:
    """The text of the page; figures are named by their files."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Code):
        return f"```\n{block.text}\n```"
    if isinstance(block, Figure):
        file = f"<{block.file}>" if set(block.file) & set(" ()") else block.file
        return f"![{block.about}]({file})"
    return _table(block)


def _table(table: Table) -> str:
    rules = [":--" if i < table.texts else "--:" for i in range(len(table.head))]
    lines = [f"| {' | '.join(map(_cell, table.head))} |", f"|{'|'.join(rules)}|"]
    for i, row in enumerate(table.rows):
        cells = [f"**{_cell(cell)}**" if (i, j) in table.bold else _cell(cell) for j, cell in enumerate(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(cell: TableCell) -> str:
    return str(cell).replace("|", "\\|")
