"""Files of texts that are to be answered: tables of any size, and which of their columns the texts are in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpt.data.tables.records import FileRecord, FileRecords, blocks, stream_records
from mpt.data.tables.rows import ID, INPUTS, OUTPUTS, as_text, column, key_paths, like_names
from mpt.util.errors import UserError
from mpt.util.names import nearest

_NAME = re.compile(r"[^\W\d][\w.-]{0,29}")


@dataclass(frozen=True)
class TextRow:
    """A record and the text in it.

    Attributes:
        line: that it begins on, from 1.
        cells: of a table's row, as many as there are columns; a JSON line's object.
        text: may be empty.
    """

    line: int
    cells: list[str] | dict[str, Any]
    text: str


@dataclass(frozen=True)
class TextTable:
    """A file of texts.

    Attributes:
        file: where it is.
        kind: ``csv``, ``tsv``, ``json``, or ``text``: a text a line.
        names: of a table's columns.
        input: the name of the column that the texts are in, or the path of a key.
        told: what was made of the file, a sentence each.
        delimiter: of a CSV.
        quoted: whether a TSV's cells are quoted as spreadsheets do it.
    """

    file: Path
    kind: str
    names: list[str]
    input: str
    told: list[str]
    delimiter: str = ","
    quoted: bool = False
    header: bool = False
    encoding: str | None = None

    def rows(self) -> Iterator[TextRow]:
        """Every record, as they stand in the file; a file of texts has a row for each line, empty ones too.

        Raises:
            UserError: a row that does not fit the others, by its line.
        """
        if self.kind == "text":
            for number, line in enumerate(_text_lines(self.file, self.encoding), start=1):
                yield TextRow(number, [line], line)
            return
        _, records = stream_records(self.file, self.encoding)
        if self.header:
            next(records)
        place = None if self.kind == "json" else self.names.index(self.input)
        for record in records:
            yield self._object(record) if place is None else self._row(record, place)

    def _row(self, record: FileRecord, place: int) -> TextRow:
        cells, width = record.cells, len(self.names)
        assert isinstance(cells, list)
        if len(cells) > width or place >= len(cells):
            why = "a text with a comma must be in quotes" if self.kind == "csv" else "a tab within a text cuts it"
            raise UserError(f"{self.file}, line {record.line} has {len(cells)} columns, the first line {width}; {why}")
        return TextRow(record.line, cells + [""] * (width - len(cells)), cells[place])

    def _object(self, record: FileRecord) -> TextRow:
        assert isinstance(record.cells, dict)
        cells = {**key_paths(record.cells), **record.cells}
        if self.input not in cells:
            there = ", ".join(map(repr, cells))
            raise UserError(f"{self.file}, line {record.line} has no key {self.input!r}; it has {there}")
        text = as_text(self.file, record, self.input, cells[self.input])
        return TextRow(record.line, record.cells, text)


def open_texts(
    path: Path,
    input: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    usual: str | None = None,
) -> TextTable:
    """Look at the beginning of a file of texts.

    Args:
        path: .csv, .tsv or .jsonl; .txt holds a text a line unless there are tabs in it.
        input: name or number of the texts' column, or key of JSON objects; found by itself if there is one alone beside
            ids and labels, or by its name.
        header: whether the first record of a table is one; found by itself if not given.
        encoding: by Python's name; UTF-8 if not given.
        usual: the input column of other files, which is taken if there is one of that name.

    Raises:
        UserError: it is empty, or the column cannot be told.
    """
    if path.suffix.lower() == ".txt" and "\t" not in (text := next(blocks(path, encoding), "")):
        if not text.strip():
            raise UserError(f"{path} is empty; each line is a text")
        if input is not None or header:
            raise UserError(f"{path} holds a text a line and has no columns; leave out --input and --header")
        return TextTable(path, "text", ["text"], "text", [], encoding=encoding)
    sample, _ = stream_records(path, encoding)
    if not sample.rows:
        raise UserError(f"{path} is empty; each record is a text to be answered")
    if sample.kind == "json":
        return _of_objects(sample, input, encoding, usual)
    first = sample.rows[0]
    assert isinstance(first.cells, list)
    names, told = [cell.strip() for cell in first.cells], []
    if header is None:
        header = _is_header(sample, names, {name for name in (input, usual) if name})
        if not header:
            told.append("there is no header; if the first line is one, say --header")
    if header and len(sample.rows) == 1:
        raise UserError(f"{path} holds a header alone; each line after it is a text to be answered")
    width = len(names)
    if not header:
        names = [f"column {number}" for number in range(1, width + 1)]
    known = names if header else []
    place = column(path, "input", input, known, width) if input else _text_column(path, names, known, usual)
    if not input and header:
        told.append(f"the texts are in the column {names[place or 0]}")
    assert place is not None
    if len(set(names)) < len(names):
        names = [name if names.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(names)]
    return TextTable(
        path, sample.kind, names, names[place], told, sample.delimiter, sample.quoted, bool(header), encoding
    )


def _is_header(sample: FileRecords, names: list[str], sought: set[str]) -> bool:
    lower = [name.lower() for name in names]
    if sought & set(names) or set(lower) & {*INPUTS, *OUTPUTS} or any(map(ID.fullmatch, lower)):
        return True
    if len(names) == 1:  # a short text could be a name with spaces
        return bool(_NAME.fullmatch(names[0])) and len(sample.rows) > 1
    return like_names(sample, lower)


def _text_column(path: Path, names: list[str], known: list[str], usual: str | None) -> int:
    """Where the texts are: the usual column, or one with such a name, or the only one that is no id and no label."""
    if usual in known:
        return known.index(usual)
    found = column(path, "input", None, known, len(names))
    if found is not None:
        return found
    left = [at for at, name in enumerate(names) if not ID.fullmatch(name) and name.lower() not in OUTPUTS]
    if len(left) != 1:
        there = f"the columns {', '.join(map(repr, known))}" if known else f"{len(names)} columns without names"
        raise UserError(f"{path} has {there}; say by --input which the texts are in")
    return left[0]


def _of_objects(sample: FileRecords, input: str | None, encoding: str | None, usual: str | None) -> TextTable:
    path, first = sample.file, sample.rows[0].cells
    assert isinstance(first, dict)
    paths = key_paths(first)
    texts = [name for name in paths if isinstance(paths[name], str) and not ID.fullmatch(name)]
    texts = [name for name in texts if name.lower() not in OUTPUTS]
    found = input or next((name for name in (usual, *INPUTS) if name in paths or name in first), None)
    if found is None and len(texts) == 1:
        found = texts[0]
    if found is None:
        raise UserError(f"{path} has the keys {', '.join(map(repr, paths))}; say by --input which the texts are in")
    if found not in paths and found not in first:
        raise UserError(f"{path} has no key {found!r} for --input; {nearest(found, paths)}")
    told = [] if input else [f"the texts are in the key {found}"]
    return TextTable(path, "json", list(first), found, told, encoding=encoding)


def _text_lines(path: Path, encoding: str | None) -> Iterator[str]:
    for block in blocks(path, encoding):
        lines = block.removesuffix("\n").split("\n")
        yield from (line.removesuffix("\r") for line in lines)
