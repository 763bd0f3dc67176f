"""From a file's records to rows of an input and its outputs: which columns they are, and whether there is a header."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpt.data.tables.records import FileRecord, FileRecords, must_be_quoted, read_records, stream_records
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.names import nearest

INPUTS = (
    "input",
    "text",
    "sentence",
    "question",
    "source",
    "inputs",
    "review",
    "comment",
    "document",
    "message",
    "utterance",
)
OUTPUTS = (
    "output",
    "label",
    "target",
    "answer",
    "class",
    "category",
    "outputs",
    "labels",
    "sentiment",
    "summary",
    "intent",
    "topic",
)
ID = re.compile(r"(.*[_ .-])?(id|uuid|index|no|nr|number)|unnamed: \d+|", re.IGNORECASE)
_CODE = re.compile(r"[\w.:#-]*\d[\w.:#-]*")
_SHOWN = 5
_NO_QUOTES = "; a text with a line break or a tab must be in quotes, and then all such texts"
_NAME = 30
"""Signs that the name of a column has at most."""


@dataclass(frozen=True)
class TaskRow:
    """An example and the line of the file that it begins on."""

    line: int
    example: Example

    @property
    def input(self) -> str:
        return self.example.input

    @property
    def output(self) -> str:
        """The one that is learned: the first."""
        return self.example.targets[0]


@dataclass
class RowTable:
    """The rows of a file.

    Attributes:
        file: where they are from.
        told: what was made of the file, a sentence each.
        rows: in the file's order.
        left_out: line of each record that is none, and which part of it is empty.
        input: the column or key that the inputs are from, if it has a name.
    """

    file: Path
    told: list[str]
    rows: list[TaskRow] = field(default_factory=list)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    input: str = ""

    def take(self, line: int, source: str, outputs: list[str]) -> None:
        """A record, unless its input or output is empty."""
        kept = tuple(text for text in (text.strip() for text in outputs) if text)
        if kept and source.strip():
            self.rows.append(TaskRow(line, Example(source, kept)))
        else:
            self.left_out.append((line, "input" if kept else "output"))

    def checked(self) -> RowTable:
        """Itself, once it is told what was left out."""
        for what in ("output", "input"):
            if numbers := [line for line, empty in self.left_out if empty == what]:
                self.told.append(f"left out, because the {what} is empty: {lines(numbers)}")
        if not self.rows:
            raise UserError(f"{self.file} has no record with both an input and an output")
        return self


def read_rows(
    path: Path,
    input: str | None = None,
    output: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
) -> RowTable:
    """The examples of a file.

    Args:
        path, encoding: a file, see :func:`mpt.data.tables.records.read_records`.
        input, output: column names, or numbers from 1, or the keys of JSON objects (``ticket.body`` for one within
            another); found by itself where there are two columns beside ids, named or not, or names such as text and
            label.
        header: whether the first record of a table is one; found by itself if not given.

    Raises:
        UserError: a column that is not there or cannot be told; no row left; with the file and the line.
    """
    records = read_records(path, encoding)
    if not records.rows:
        raise UserError(f"{path} is empty; each record is an input and its output")
    if records.kind == "json":
        return _of_objects(records, input, output)
    return _of_table(records, input, output, header)


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """The cells of a table's first record, or the keys of a file's first JSON object."""
    sample, _ = stream_records(path, encoding)
    first = sample.rows[0].cells if sample.rows else []
    return list({**key_paths(first), **first}) if isinstance(first, dict) else [cell.strip() for cell in first]


def lines(numbers: Sequence[int]) -> str:
    """Line numbers in a sentence: ``line 3``, ``lines 3, 4 and 5``, ``lines 1, 2, 3, 4, 5 and 7 more``."""
    shown = [str(number) for number in numbers[:_SHOWN]]
    more = len(numbers) - len(shown)
    last = [f"{more} more"] if more else [shown.pop()] if len(shown) > 1 else []
    return f"line{'s' if len(numbers) > 1 else ''} {' and '.join([', '.join(shown), *last])}"


# Tables ------------------------------------------------------------------------------------------------------------


def _of_table(records: FileRecords, input: str | None, output: str | None, header: bool | None) -> RowTable:
    path, first = records.file, records.rows[0]
    assert isinstance(first.cells, list)
    names = [cell.strip() for cell in first.cells]
    told = ["cells are quoted as spreadsheets do it; the quotes are no part of the texts"] if records.quoted else []
    if header is None:
        header, why = _has_header(records, names, input, output)
        if why:
            told.append(why)
    if not header:
        names = []
    rows = records.rows[1:] if header else records.rows
    if not rows:
        raise UserError(f"{path} holds a header alone; each line after it is an input and its output")
    width = len(first.cells)
    columns = [column(path, "input", input, names, width), column(path, "output", output, names, width)]
    ids = records.kind == "tsv" and not header and 0 not in columns and None in columns and _begin_with_ids(rows)
    if ids:
        free = [place for place in (1, 2) if place not in columns]
        columns = [free.pop(0) if place is None else place for place in columns]
    chosen = _both(path, columns, names, width, records.kind, first.line)
    if ids:
        places = f"the input is column {chosen[0] + 1}, the output column {chosen[1] + 1}"
        told.append(f"there is no header, and each row begins with an id: {places}; if the id is the input, --input 1")
    elif not header and input is None and output is None:
        told.append("there is no header: the first column is the input, the second the output")
    elif header and (input is None or output is None):
        told.append(f"a header; the input is the column {names[chosen[0]]}, the output {names[chosen[1]]}")
    # CrossFit's files have further gold outputs behind further tabs.
    several = records.kind == "tsv" and not header and output is None and chosen[0] < chosen[1]
    table, quoted = RowTable(path, told, input=names[chosen[0]] if header else ""), must_be_quoted(records.delimiter)
    for record in rows:
        cells = record.cells
        assert isinstance(cells, list)
        if len(cells) <= max(chosen):
            raise UserError(
                f"{path}, line {record.line} has {len(cells)} column{'s' if len(cells) > 1 else ''}, but the "
                f"{'input' if chosen[0] > chosen[1] else 'output'} is in column {max(chosen) + 1}"
                + (f"; {quoted}" if records.kind == "csv" else _NO_QUOTES)
            )
        if records.kind == "csv" and len(cells) > width:
            raise UserError(f"{path}, line {record.line} has {len(cells)} columns, the first line {width}; {quoted}")
        outputs = cells[chosen[1] :] if several else [cells[chosen[1]]]
        table.take(record.line, cells[chosen[0]], outputs)
    return table.checked()


def _begin_with_ids(rows: Sequence[FileRecord]) -> bool:
    """Whether rows are an id, an input and an output: a number or code that never comes again, and texts of words."""
    if len(rows) < 2 or any(len(row.cells) != 3 for row in rows):
        return False
    first, second = ([row.cells[place].strip() for row in rows] for place in (0, 1))  # type: ignore[index]
    wordy = sum(" " in text for text in second)
    return len(set(first)) == len(rows) and all(map(_CODE.fullmatch, first)) and 2 * wordy > len(rows)


def _has_header(records: FileRecords, names: list[str], input: str | None, output: str | None) -> tuple[bool, str]:
    """Whether the first record is a header, and what to say of a guess."""
    lower, asked = [name.lower() for name in names], [name for name in (input, output) if name]
    if any(in_header(name, names) for name in asked) or _is_numbered(names):
        return True, ""
    if any(not name.isdecimal() for name in asked):
        known = f"its first line is {', '.join(map(repr, names))}"
        missing = next(name for name in asked if not name.isdecimal())
        raise UserError(f"{records.file} has no column {missing!r}; {known}")
    if set(lower) & set(INPUTS) and set(lower) & set(OUTPUTS):
        return True, ""
    if len(names) != 2 and len(asked) < 2:
        # The columns must be named, and the complaint tells what there is. A TSV may be CrossFit's, several outputs of
        # which stand behind one another: by their place they are read only if the first line does not look like names.
        return records.kind == "csv" or like_names(records, lower), ""
    source, place = _place(input, output, 0), _place(output, input, 1)
    outputs = [row.cells[place].strip() for row in records.rows[1:] if len(row.cells) > place]  # type: ignore[index]
    counts = Counter(outputs)
    repeats = len(outputs) >= 4 and len(counts) <= len(outputs) // 2
    if repeats and len(names) > place and names[place] not in counts:
        why = f"the first line is taken for a header ({', '.join(names)}), since no other line has the output"
        return True, f"{why} {names[place]!r}; if it is an example, say --no-header"
    roles = ((source, INPUTS), (place, OUTPUTS))
    usual = [lower[own] for own, called in roles if own < len(lower) and lower[own] in called]
    if usual and _could_name(records, lower):
        why = f"the first line is taken for a header ({', '.join(names)}), since columns are called {usual[0]!r}"
        return True, f"{why}; if it is an example, say --no-header"
    return False, ""


def _place(asked: str | None, other: str | None, usual: int) -> int:
    """Where a column asked for by number is; of two of which the other is asked for, the one that is left."""
    return int(asked) - 1 if asked else 2 - int(other) if other in ("1", "2") else usual


def in_header(name: str, names: Sequence[str]) -> bool:
    """Whether a first record is a header, for it has a name that is asked for; a number may be a column's place."""
    return name in names and not (name.isdecimal() and 1 <= int(name) <= len(names))


def like_names(records: FileRecords, names: list[str]) -> bool:
    """Whether the first line of a table could name columns: one is usual and not again in its column, or all are short
    and no two alike; or they are numbered, as a data frame without names writes them.
    """
    rows = [[cell.strip().lower() for cell in record.cells] for record in records.rows[1:]]
    rows = [row for row in rows if row != names]  # files put together have their header more than once
    usual = [at for at, name in enumerate(names) if name in (*INPUTS, *OUTPUTS) or (name and ID.fullmatch(name))]
    once = any(all(row[at : at + 1] != names[at : at + 1] for row in rows) for at in usual)
    return once or _is_numbered(names) or _could_name(records, names)


def _is_numbered(names: Sequence[str]) -> bool:
    """Whether columns have the names of a data frame's that has none."""
    numbers = [*map(str, range(len(names)))]
    return len(names) > 1 and [*names] in (numbers, ["", *numbers[:-1]])


def _could_name(records: FileRecords, names: list[str]) -> bool:
    short = all(0 < len(name) <= _NAME and len(name.split()) <= 3 and not name[0].isdigit() for name in names)
    if not short or len(set(names)) < len(names) or len(records.rows) == 1:
        return False
    others = [[cell.strip().lower() for cell in record.cells] for record in records.rows[1:]]
    return all(len(row) == len(names) and not any(map(str.__eq__, row, names)) for row in others)


def column(path: Path, what: str, asked: str | None, names: list[str], width: int) -> int | None:
    if asked is None:
        known = INPUTS if what == "input" else OUTPUTS
        lower = [name.lower() for name in names]
        name = next((name for name in known if name in lower), None)
        return None if name is None else _the_one(path, what, name, lower)
    if asked in names:
        return _the_one(path, what, asked, names)
    if asked.isdecimal() and 1 <= int(asked) <= width:
        return int(asked) - 1
    there = ", ".join(map(repr, names)) if names else f"{width} columns without names, counted from 1"
    raise UserError(f"{path} has no column {asked!r} for --{what}; it has {there}")


def _the_one(path: Path, what: str, name: str, names: list[str]) -> int:
    if names.count(name) > 1:
        raise UserError(f"{path} has two columns {name!r}; give --{what} the number of one, counted from 1")
    return names.index(name)


def _both(path: Path, columns: list[int | None], names: list[str], width: int, kind: str, line: int) -> tuple[int, int]:
    source, target = columns
    if width == 1:
        sign = "tab" if kind == "tsv" else "comma (or a semicolon or tab, in all lines)"
        raise UserError(f"{path}, line {line} has one column; a record is an input, a {sign} and its output")
    if width == 2 or (kind == "tsv" and not names):
        source = source if source is not None else (1 - target if target in (0, 1) else 0)
        target = target if target is not None else (1 - source if source in (0, 1) else 1)
    if names and (source is None) != (target is None):
        rest = [i for i, name in enumerate(names) if i not in (source, target) and not ID.fullmatch(name)]
        if len(rest) == 1:
            source, target = (rest[0] if place is None else place for place in (source, target))
    if source is None or target is None:
        missing = " and ".join(f"--{what}" for what, place in (("input", source), ("output", target)) if place is None)
        there = f"has the columns {', '.join(map(repr, names))}" if names else f"has {width} columns"
        example = "; if the first line is an example, say --no-header" if kind == "tsv" and names else ""
        raise UserError(f"{path} {there}; say by {missing} which to take{example}")
    if source == target:
        raise UserError(f"{path}: --input and --output are the same column")
    return source, target


# JSON --------------------------------------------------------------------------------------------------------------


def _of_objects(records: FileRecords, input: str | None, output: str | None) -> RowTable:
    path, first = records.file, records.rows[0]
    assert isinstance(first.cells, dict)
    names = list(first.cells)
    paths = key_paths(first.cells)
    chosen = []
    for what, asked, known in (("input", input, INPUTS), ("output", output, OUTPUTS)):
        name = asked if asked is not None else next((name for name in known if name in names), None)
        if name is None:
            raise UserError(f"{path} has the keys {', '.join(map(repr, paths))}; say by --{what} which is the {what}")
        if asked is not None and asked not in names and asked not in paths:
            raise UserError(f"{path} has no key {asked!r} for --{what}; {nearest(asked, paths)}")
        chosen.append(name)
    told = [] if input and output else [f"the input is the key {chosen[0]}, the output {chosen[1]}"]
    table = RowTable(path, told, input=chosen[0])
    for record in records.rows:
        assert isinstance(record.cells, dict)
        cells = {**key_paths(record.cells), **record.cells}
        for name in chosen:
            if name not in cells:
                raise UserError(f"{path}, line {record.line} has no key {name!r}; it has {', '.join(map(repr, cells))}")
        outputs = cells[chosen[1]]
        texts = [as_text(path, record, chosen[1], x) for x in (outputs if isinstance(outputs, list) else [outputs])]
        table.take(record.line, as_text(path, record, chosen[0], cells[chosen[0]]), texts)
    return table.checked()


def key_paths(cells: dict[str, Any], before: str = "") -> dict[str, Any]:
    """The values of an object and of those within it, by ``key.key``."""
    found: dict[str, Any] = {}
    for name, value in cells.items():
        found |= (
            key_paths(value, f"{before}{name}.") if isinstance(value, dict) and value else {f"{before}{name}": value}
        )
    return found


def as_text(path: Path, record: FileRecord, name: str, value: Any) -> str:
    if value is None or value != value:  # NaN, as which a missing value is often saved, though JSON has no such number
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isinf(value):
        raise UserError(
            f"{path}, line {record.line}: {name} is {value}, which is no number in JSON; write one, or a text"
        )
    if isinstance(value, (str, int, float)):
        text = str(value)
        if half := next((sign for sign in text if "\ud800" <= sign <= "\udfff"), None):
            raise UserError(
                f"{path}, line {record.line}: {name} holds {ascii(half)[1:-1]}, half of a sign such as an emoji, which "
                "is no text; give the whole sign, or none"
            )
        return text
    raise UserError(f"{path}, line {record.line}: {name} must be a text or a number, not {type(value).__name__}")
