"""The rows of a file with their answers, as text: a CSV, a TSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mpt.data.tables.texts import TextRow, TextTable
from mpt.use.answers.predictor import Answer


@dataclass(frozen=True)
class AnswerRows:
    """How rows are written: all columns as they were, then ``prediction`` and, of labels, ``probability`` and one
    column for each label, ``p_<label>``. JSON lines hold the labels' probabilities as one object, ``probabilities``.

    Attributes:
        table: where the rows are from.
        kind: ``csv``, ``tsv`` or ``json``.
        labels: that have a column.
        weighed: whether there are probabilities.
    """

    table: TextTable
    kind: str
    labels: Sequence[str] = ()
    weighed: bool = False

    @cached_property
    def prefix(self) -> str:
        """What stands before the new names, where one of them is a column's already: ``mpt_``, or more of it."""
        prefix = ""
        while set(self.table.names) & set(self._new(prefix)):
            prefix += "mpt_"
        return prefix

    def head(self) -> str:
        """The first line; none of JSON lines."""
        return "" if self.kind == "json" else self._line([*self.table.names, *self._new(self.prefix)])

    def row(self, row: TextRow, answer: Answer) -> str:
        """A row and its answer."""
        new = [answer.text]
        if self.weighed:
            new += [_digits(answer.probability), *(_digits(answer.probabilities.get(label)) for label in self.labels)]
        if self.kind != "json":
            return self._line([*self._cells(row), *new])
        named: dict[str, Any] = {self.prefix + "prediction": answer.text}
        if self.weighed:
            named[self.prefix + "probability"] = _rounded(answer.probability)
            named[self.prefix + "probabilities"] = {name: _rounded(p) for name, p in answer.probabilities.items()}
        cells = row.cells if isinstance(row.cells, dict) else dict(zip(self.table.names, row.cells, strict=True))
        return json.dumps({**cells, **named}, ensure_ascii=False) + "\n"

    def _new(self, prefix: str) -> list[str]:
        scores = ["probability", *(f"p_{label}" for label in self.labels)] if self.weighed else []
        scores += ["probabilities"] if self.weighed and self.kind == "json" else []
        return [prefix + name for name in ("prediction", *scores)]

    def _cells(self, row: TextRow) -> list[str]:
        if not isinstance(row.cells, dict):
            return row.cells
        return [_cell(row.cells.get(name)) for name in self.table.names]

    def _line(self, cells: Sequence[str]) -> str:
        if self.kind == "tsv" and self.table.kind in ("tsv", "text") and not self.table.quoted:
            return "\t".join(" ".join(cell.split()) if {"\t", "\n"} & set(cell) else cell for cell in cells) + "\n"
        delimiter = self.table.delimiter if self.table.kind == "csv" and self.kind == "csv" else ","
        text = io.StringIO()
        csv.writer(text, delimiter="\t" if self.kind == "tsv" else delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue()


def _cell(value: Any) -> str:
    """A value of JSON in a table; null as what is not there."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rounded(value: float | None) -> Any:
    return None if value is None else float(f"{value:.6g}")


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
