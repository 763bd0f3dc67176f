"""Files as people have them, as records of cells: CSV, TSV and JSONL, each record with the line that it begins on."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mpt.util.errors import UserError
from mpt.util.utf8 import utf8_text

Cells = dict[str, Any]

_CSV = (".csv",)
_TSV = (".tsv", ".tab", ".txt")
_JSON = (".jsonl", ".ndjson", ".json")
_LONGEST_CELL = 16 << 20
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^\t\n"]*?))(\t|\r?\n)')
"""A cell of a TSV and what ends it; one with a quote is in quotes."""

_SEP = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
"""What spreadsheets write, and read, as a file's first line."""


@dataclass(frozen=True)
class FileRecord:
    """One record of a file.

    Attributes:
        line: number of the line that it begins on, from 1.
        cells: texts of a table's row; the object of a JSON line has names in place of places.
    """

    line: int
    cells: list[str] | Cells


@dataclass(frozen=True)
class FileRecords:
    """What a file holds.

    Attributes:
        file: where it was read from.
        kind: ``csv``, ``tsv`` or ``json``.
        rows: its records, a header among them.
        quoted: whether it is a TSV whose cells are quoted.
    """

    file: Path
    kind: str
    rows: list[FileRecord]
    quoted: bool = False


def read_records(path: Path, encoding: str | None = None) -> FileRecords:
    """Read a file by its suffix.

    A byte order mark is taken away, and Windows line ends of records, but not those within a quoted cell; a carriage
    return ends a line where there is no line feed. A CSV's cells may be quoted, also behind a space, and then hold
    commas, line breaks and doubled quotes; its delimiter is that of a first line ``sep=;``, or the comma, semicolon or
    tab that cuts all records alike. In a TSV a cell ends at a tab, a record at a line's end, and a quote is a sign like
    others, as in CrossFit's files; unless the cells are quoted as spreadsheets quote them: all that need it, or all.

    Args:
        encoding: by Python's name, such as ``cp1252``; UTF-8 if not given.

    Raises:
        UserError: no such file, another suffix, another encoding, a broken quote or JSON line: with the line.
    """
    suffix = path.suffix.lower()
    if suffix not in _CSV + _TSV + _JSON:
        raise UserError(
            f"{path}: the suffix says what a file is; .csv, .tsv or .jsonl are read, not {suffix or 'none'}"
        )
    text = _text(path, encoding)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    if suffix in _CSV:
        return FileRecords(path, "csv", _csv(path, text))
    if suffix in _TSV:
        quoted = _quoted_tsv(text)
        return FileRecords(path, "tsv", _tsv(text) if quoted is None else quoted, quoted is not None)
    return FileRecords(path, "json", _json(path, text))


def _text(path: Path, encoding: str | None) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: it cannot be read: {error.strerror}") from error
    if encoding is None:
        try:
            return utf8_text(path, content)
        except UserError as error:
            raise UserError(f"{error}, or name its encoding by --encoding (cp1252, utf-16 …)") from None
    try:
        return content.decode(encoding).lstrip("\ufeff")
    except LookupError:
        raise UserError(
            f"--encoding {encoding}: there is none of that name; utf-8, cp1252 and utf-16 are some"
        ) from None
    except UnicodeError as error:
        raise UserError(f"{path} is not {encoding}: {error}; name another --encoding") from None


def _csv(path: Path, text: str) -> list[FileRecord]:
    csv.field_size_limit(_LONGEST_CELL)
    lines = [f"{part}\n" for part in text.split("\n")]
    if lines[-1] == "\n":
        lines.pop()
    stated = _SEP.fullmatch(lines[0].strip(" \r\n")) if lines else None
    skipped = 1 if stated else 0
    del lines[:skipped]
    delimiter = stated[1] if stated else _delimiter(lines)
    # Quotes behind a space are quotes all the same, where there are such.
    spaced = any(cell[:1] == " " and cell.lstrip()[:1] == '"' for row in _rows(lines, delimiter) for cell in row)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced)
    found: list[FileRecord] = []
    begins = skipped + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append(FileRecord(begins, row))
            begins = skipped + reader.line_num + 1
    except csv.Error as error:
        why = (
            f"its quoting is broken ({error}); within quotes a quote is doubled, and a quoted cell ends before a "
            f"{_NAMES.get(delimiter, repr(delimiter))}"
        )
        raise UserError(f"{path}: the record that begins on line {begins} cannot be read: {why}") from None
    return found


def _delimiter(lines: list[str]) -> str:
    """What cuts all records into as many cells, and best so where cells do not begin with a space, as prose does."""
    tables = {sign: _rows(lines, sign) for sign in _NAMES}
    in_all = [sign for sign, rows in tables.items() if rows and all(len(row) > 1 for row in rows)]
    even = [sign for sign in in_all if len({len(row) for row in tables[sign]}) == 1]
    if not in_all:
        first = {sign: len(rows[0]) if rows else 0 for sign, rows in tables.items()}
        return "," if first[","] > 1 else max(first, key=lambda sign: first[sign])
    return min(
        even or in_all, key=lambda sign: (_like_prose(tables[sign]), len(tables[sign][0]), _cut_early(tables[sign]))
    )


def _like_prose(rows: list[list[str]]) -> float:
    """The share of the cuts that are such as in a sentence, ``no, never``, or a number, ``3,5``."""
    cuts = [(left[-1:], right[:1]) for row in rows for left, right in pairwise(row)]
    return sum(right == " " or (left.isdigit() and right.isdigit()) for left, right in cuts) / len(cuts)


def _cut_early(rows: list[list[str]]) -> int:
    """How many outputs could be cut once more: ``yes;good`` is the end of a text and a label."""
    return sum(any(sign in row[-1] for sign in _NAMES) for row in rows)


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    """The cells of the records that are not blank, up to one whose quoting is broken."""
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if any(cell.strip() for cell in row):
                rows.append(row)
    except csv.Error:
        pass
    return rows


def _tsv(text: str) -> list[FileRecord]:
    # Not splitlines, which would also end a record at other Unicode line separators.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return [FileRecord(number, line.split("\t")) for number, line in enumerate(lines, start=1) if line.strip()]


def _quoted_tsv(text: str) -> list[FileRecord] | None:
    """The records, if quotes stand around cells as spreadsheets write them; None if they are signs like others.

    Spreadsheets quote a cell that holds a quote (which they double), a tab, a line break or a comma, and no other.
    """
    if '"' not in text:
        return None
    text = text if text.endswith("\n") else f"{text}\n"
    found: list[FileRecord] = []
    cells: list[str] = []
    quoted: list[str] = []
    bare: list[str] = []
    place, line, begins = 0, 1, 1
    while place < len(text):
        cell = _CELL.match(text, place)
        if cell is None:
            return None
        (bare if cell[1] is None else quoted).append(cell[2] if cell[1] is None else cell[1])
        cells.append(cell[2] if cell[1] is None else cell[1].replace('""', '"'))
        place, line = cell.end(), line + cell[0].count("\n")
        if cell[3] != "\t":
            if any(text.strip() for text in cells):
                found.append(FileRecord(begins, cells))
            cells, begins = [], line
    needed = all(re.search('[",\t\n]', text) for text in quoted)
    # A comma alone is no reason for a quote where other cells hold one without.
    sure = any(re.search('["\t\n]', text) for text in quoted) or not any("," in text for text in bare)
    every = not any(text.strip() for text in bare)
    return found if quoted and (every or (needed and sure)) else None


def _json(path: Path, text: str) -> list[FileRecord]:
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is no JSON list: {_why(error)}") from None
        found = [FileRecord(number, row) for number, row in enumerate(rows, start=1)]
        where = "entry"
    else:
        found = []
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    found.append(FileRecord(number, json.loads(line)))
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{path}, line {number} is not JSON: {_why(error)}") from None
        where = "line"
    for record in found:
        if not isinstance(record.cells, dict):
            raise UserError(f"{path}, {where} {record.line} is no JSON object with an input and an output")
    return found


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
