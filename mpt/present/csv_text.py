"""Tables as CSV, whose texts no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r]")
"""Begins what a spreadsheet would compute: ``=HYPERLINK(…)`` as a task's name."""


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]], floats: str = "") -> str:
    """Head and rows; nothing stands where there is no number (None, NaN), and ``'`` before a text like a formula.

    Args:
        floats: their format, such as ``.4f``; all digits if empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name, "") for name in head])
    writer.writerows([[_cell(value, floats) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any, floats: str) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value):
        return f"'{value}"
    return format(value, floats) if isinstance(value, float) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
