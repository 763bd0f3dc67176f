"""Tables as LaTeX, for ``\\input``: packages booktabs, and graphicx for those that must be shrunk to the line."""

from __future__ import annotations

import math

from mpt.present.table import Table, TableCell

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
}
_LINE = 80
"""Letters that fit on a line of a page, about."""


def latex_table(table: Table, caption: str, label: str) -> str:
    """One table; deviations as subscripts, the best in bold, as in table 2 of Qin et al. (2023).

    Args:
        caption: plain text.
        label: for ``\\ref``.
    """
    columns = "l" * table.texts + "r" * (len(table.head) - table.texts)
    widths = [max(len(str(cell)) + 2 for cell in column) for column in zip(table.head, *table.rows, strict=True)]
    wide = sum(widths) > _LINE
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{escape(caption)}}}",
        f"\\label{{{label}}}",
        *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
        f"\\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row([escape(name) for name in table.head]),
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        if i in table.rules:
            lines.append(r"\midrule")
        lines.append(_row([_cell(cell, (i, j) in table.bold) for j, cell in enumerate(row)]))
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if wide else ""), r"\end{table}"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Plain text that LaTeX sets as it is."""
    return "".join(_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: TableCell, bold: bool) -> str:
    if isinstance(cell, str) or math.isnan(cell.mean):
        text = escape(str(cell))
        return f"\\textbf{{{text}}}" if bold else text
    number = f"\\mathbf{{{cell.number}}}" if bold else cell.number
    return f"${number}$" if math.isnan(cell.std) else f"${number}_{{\\pm {cell.std:.1f}}}$"
