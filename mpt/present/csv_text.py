"""Tables as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]], floats: str = "") -> str:
    """Head and rows; nothing stands where there is no number (None, NaN).

    Args:
        floats: their format, such as ``.4f``; all digits if empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value, floats) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any, floats: str) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return format(value, floats) if isinstance(value, float) else value
