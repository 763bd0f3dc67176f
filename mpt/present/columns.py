"""Tables as plain text: a row a line, so that they can be searched, cut and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mpt.util.names import printable


def columns(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()) -> str:
    """Head and rows as lines of aligned columns, two spaces apart.

    Args:
        numbers: names of the columns that are aligned to the right.
    """
    lines = [list(head), *([printable(" ".join(str(cell).split())) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = {head.index(name) for name in numbers}
    text = ""
    for line in lines:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text
