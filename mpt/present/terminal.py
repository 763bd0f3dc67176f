"""Tables in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mpt.present.table import Table as Layout


def console(**options: Any) -> Console:
    """Where it is told: as wide as a table needs where nobody looks on. A text is that text: a name may be ``[/x]``, a
    label ``:cat:``.

    Args:
        options: of the console.
    """
    options = {"highlight": False, "markup": False, "emoji": False, **options}
    plain = _Console(**options)
    return plain if plain.is_terminal else _Console(**{"width": 160, "soft_wrap": True, **options})


_OBEYED = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Signs that a terminal, or a reader's eye, is led by: all controls but tab and line feed, and those of direction."""
SHOWN = {code: repr(chr(code))[1:-1] for code in _OBEYED}


class _Console(Console):
    """Shows what a terminal would obey: a name or an answer in a table may be a stranger's."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for part in super().render(renderable, options):
            yield part if part.control else Segment(part.text.translate(SHOWN), part.style)


def print_table(console: Console, table: Layout, title: str) -> None:
    """Texts to the left, numbers to the right, the best in bold; in as many parts as the terminal's width takes."""
    # Four long names side by side need more than a terminal's width.
    heads = ["\n".join(textwrap.wrap(name, 24 if len(table.head) < 9 else 16)) for name in _shown(table.head)]
    rows = [_shown(row) for row in table.rows]
    widths = [
        3 + max(len(line) for cell in (head, *cells) for line in cell.split("\n"))
        for head, *cells in zip(heads, *rows, strict=True)
    ]
    console.print()
    for number, columns in enumerate(_parts(widths, table.texts, console.width - 1)):
        shown = Table(title=title if not number else None, title_justify="left", title_style="bold")
        for j in columns:
            shown.add_column(heads[j], justify="left" if j < table.texts else "right", no_wrap=True)
        for i, row in enumerate(rows):
            if i in table.rules:
                shown.add_section()
            shown.add_row(*(Text(row[j], style="bold" if (i, j) in table.bold else "") for j in columns))
        console.print(shown)


def _shown(cells: Iterable[object]) -> list[str]:
    return [str(cell).translate(SHOWN) for cell in cells]


def _parts(widths: Sequence[int], texts: int, width: int) -> list[list[int]]:
    """Columns that fit side by side, each time after those of texts."""
    first = list(range(texts))
    parts = [list(first)]
    for j in range(texts, len(widths)):
        if len(parts[-1]) > texts and sum(widths[i] for i in parts[-1]) + widths[j] > width:
            parts.append(list(first))
        parts[-1].append(j)
    return parts


def duration(seconds: float) -> str:
    """``3 ms``, ``4.2 s``, ``7 min``, ``3 h 20 min``, ``12 days``."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 72 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes / 60 / 24:,.0f} days"
