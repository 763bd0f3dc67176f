"""Files of texts that are to be answered: tables of any size, and which of their columns the texts are in."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mpt.data.tables.own_file import ColumnText, is_template
from mpt.data.tables.records import FileRecord, FileRecords, blocks, must_be_quoted, stream_records, with_line_feeds
from mpt.data.tables.rows import ID, INPUTS, OUTPUTS, as_text, column, in_header, key_paths, like_names
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.reading import is_writable

_USUAL = "template in the prompt's mpt.json"
_NAME = re.compile(r"[^\W\d][\w.-]{0,29}")


@dataclass(frozen=True)
class TextRow:
    """A record and the text in it.

    Attributes:
        line: that it begins on, from 1.
        cells: of a table's row, as many as there are columns; a JSON line's object.
        text: may be empty.
        chosen: by which of the table's ``inputs`` it was made; empty where there are none.
    """

    line: int
    cells: list[str] | dict[str, Any]
    text: str
    chosen: str = ""


@dataclass(frozen=True)
class TextTable:
    """A file of texts.

    Attributes:
        file: where it is.
        kind: ``csv``, ``tsv``, ``json``, or ``text``: a text a line.
        names: of a table's columns; the keys of a JSON file's first object, or of all (:meth:`looked_through`).
        input: the texts, as columns or keys make them.
        told: what was made of the file, a sentence each.
        delimiter: of a CSV.
        quoted: whether a TSV's cells are quoted as spreadsheets do it.
        by: column that says by which of ``inputs`` a row's text is made (:meth:`chosen_by`).
    """

    file: Path
    kind: str
    names: list[str]
    input: ColumnText
    told: list[str]
    delimiter: str = ","
    quoted: bool = False
    header: bool = False
    encoding: str | None = None
    by: str | None = None
    inputs: Mapping[str, ColumnText] = field(default_factory=dict)

    def chosen_by(self, by: str, inputs: Mapping[str, ColumnText]) -> TextTable:
        """The same with texts that columns make as each row says.

        Args:
            by: column whose cells name one of the inputs.
            inputs: by name.

        Raises:
            UserError: there is no such column, or there are several.
        """
        if self.kind == "text":
            raise UserError(f"{self.file} holds a text a line, and has no column {by!r} for --prompt-column")
        if self.names.count(by) > 1:
            raise UserError(f"{self.file} has several columns {by!r} for --prompt-column; rename all but one")
        if by not in self.names:
            raise UserError(f"{self.file} has no column {by!r} for --prompt-column; {nearest(by, self.names)}")
        return replace(self, by=by, inputs=inputs)

    def rows(self) -> Iterator[TextRow]:
        """Every record, as they stand in the file; a file of texts has a row for each line, empty ones too.

        Raises:
            UserError: a row that does not fit the others, by its line.
        """
        if self.kind == "text":
            for number, line in enumerate(_text_lines(self.file, self.encoding), start=1):
                yield TextRow(number, [line], self.input.of_cells({"text": line}))
            return
        _, records = stream_records(self.file, self.encoding, self.quoted)
        if self.header:
            next(records)
        places = {name: at for at, name in enumerate(self.names)}
        for record in records:
            yield self._object(record) if self.kind == "json" else self._row(record, places)

    def looked_through(self) -> tuple[TextTable, int]:
        """The same with the keys of all objects for names, and how many rows there are.

        Raises:
            UserError: whatever is wrong with a row, before any is answered.
        """
        names, count = dict.fromkeys(self.names), 0
        for row in self.rows():
            count += 1
            if isinstance(row.cells, dict):
                names |= dict.fromkeys(row.cells)
                if not is_writable(json.dumps(row.cells, ensure_ascii=False)):
                    raise UserError(
                        f"{self.file}, line {row.line} holds half of a sign such as an emoji (\\ud800 to \\udfff), "
                        "which is no text; give the whole sign, or none"
                    )
        return replace(self, names=list(names)), count

    def _row(self, record: FileRecord, places: Mapping[str, int]) -> TextRow:
        cells, width = record.cells, len(self.names)
        assert isinstance(cells, list)
        if not any(map(str.strip, cells)):
            cells = [""] * width
        chosen = "" if self.by is None or places[self.by] >= len(cells) else cells[places[self.by]].strip()
        made = self.inputs.get(chosen, self.input)
        if len(cells) > width or max(places[name] for name in made.columns) >= len(cells):
            why = must_be_quoted(self.delimiter) if self.kind == "csv" else "a tab within a text cuts it"
            raise UserError(f"{self.file}, line {record.line} has {len(cells)} columns, the first line {width}; {why}")
        text = made.of_cells({name: cells[places[name]] for name in made.columns})
        return self._checked(TextRow(record.line, cells + [""] * (width - len(cells)), text, chosen))

    def _object(self, record: FileRecord) -> TextRow:
        assert isinstance(record.cells, dict)
        cells = {**key_paths(record.cells), **record.cells}
        chosen = "" if self.by is None else as_text(self.file, record, self.by, cells.get(self.by)).strip()
        made = self.inputs.get(chosen, self.input)
        if missing := [name for name in made.columns if name not in cells]:
            self._checked(TextRow(record.line, record.cells, missing[0], chosen))
            there = ", ".join(map(repr, cells))
            raise UserError(f"{self.file}, line {record.line} has no key {missing[0]!r}; it has {there}")
        texts = {name: as_text(self.file, record, name, cells[name]) for name in made.columns}
        return self._checked(TextRow(record.line, record.cells, made.of_cells(texts), chosen))

    def _checked(self, row: TextRow) -> TextRow:
        """Itself, unless it has a text and names nothing that could make it."""
        if self.by is not None and row.chosen not in self.inputs and row.text.strip():
            raise UserError(
                f"{self.file}, line {row.line}: {self.by} is {row.chosen!r}, which is no prompt's name; "
                f"{nearest(row.chosen, self.inputs)}"
            )
        return row


def open_texts(
    path: Path,
    input: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    usual: str | None = None,
) -> TextTable:
    """Look at the beginning of a file of texts.

    Args:
        path: .csv, .tsv or .jsonl; .txt holds a text a line, the column ``text``, unless there are tabs in it.
        input: name or number of the texts' column, key of JSON objects, or a template over them such as
            ``{subject}: {body}``; found by itself if there is one alone beside ids and labels, or by its name.
        header: whether the first record of a table is one; found by itself if not given.
        encoding: by Python's name; UTF-8 if not given.
        usual: what the texts of other files were made of, which is taken if this one has such columns.

    Raises:
        UserError: it is empty, the column cannot be told, or the usual template cannot be filled.
    """
    if path.suffix.lower() == ".txt" and "\t" not in (text := next(blocks(path, encoding), "")):
        if not text.strip():
            raise UserError(f"{path} is empty; each line is a text")
        made = _template(input or "text", "--input")
        if header or made.columns != ("text",):
            raise UserError(
                f"{path} holds a text a line, which --input calls text, as in 'post : {{text}}'; leave out --header "
                "and other columns"
            )
        if input is None:
            _check_made(path, usual, ["text"])
        return TextTable(path, "text", ["text"], made, [], encoding=encoding)
    sample, _ = stream_records(path, encoding)
    if not sample.rows:
        raise UserError(f"{path} is empty; each record is a text to be answered")
    if sample.kind == "json":
        return _of_objects(sample, input, encoding, usual)
    first = sample.rows[0]
    assert isinstance(first.cells, list)
    names, told = [cell.strip() for cell in first.cells], []
    if header is None:
        sought = {*_columns(input, "--input"), *_columns(usual, _USUAL)}
        header = _is_header(sample, names, sought)
        if not header:
            told.append("there is no header; if the first line is one, say --header")
        elif input and not any(in_header(name, names) for name in sought):
            told.append(f"the first line is taken for a header ({', '.join(names)}); if it is a text, say --no-header")
    if header and len(sample.rows) == 1:
        raise UserError(f"{path} holds a header alone; each line after it is a text to be answered")
    width = len(names)
    if not header:
        names = [f"column {number}" for number in range(1, width + 1)]
    known = names if header else []
    parts = _template(input, "--input") if input and is_template(input) else None
    if parts is None and usual and not input:
        if _all_there(_columns(usual, _USUAL), known, width):
            parts = ColumnText.of(usual)
        else:
            _check_made(path, usual, known or [str(number) for number in range(1, width + 1)])
    if parts is None:
        place = column(path, "input", input, known, width) if input else _text_column(path, names, known)
        assert place is not None
        places = [place]
    else:
        places = [found for name in parts.columns if (found := column(path, "input", name, known, width)) is not None]
    if not input and header:
        told.append(_made_of("column", [names[place] for place in places], parts))
    if len(set(names)) < len(names):
        names = [name if names.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(names)]
    if parts is None:
        made = ColumnText(names[places[0]], ("", names[places[0]], ""))
    else:
        own = dict(zip(parts.columns, (names[place] for place in places), strict=True))
        made = ColumnText(parts.text, tuple(own[x] if at % 2 else x for at, x in enumerate(parts.parts)))
    return TextTable(path, sample.kind, names, made, told, sample.delimiter, sample.quoted, bool(header), encoding)


def _columns(text: str | None, said: str) -> tuple[str, ...]:
    return _template(text, said).columns if text else ()


def _template(text: str, said: str) -> ColumnText:
    try:
        return ColumnText.of(text)
    except ValueError as error:
        raise UserError(f"{said} {error}") from None


def _all_there(sought: tuple[str, ...], known: list[str], width: int) -> bool:
    if known:
        return set(sought) <= set(known)
    return all(name.isdecimal() and 1 <= int(name) <= width for name in sought)


def _check_made(path: Path, usual: str | None, names: Collection[str]) -> None:
    """Refuse to read as they are texts that the prompt's examples had more around."""
    made = _template(usual, _USUAL) if usual else None
    if made is not None and not made.is_cell:
        lacks = next((name for name in made.columns if name not in names), None)
        why = "holds a text a line" if lacks is None else f"has no column {lacks!r}"
        raise UserError(
            f"{path} {why}, and the prompt's examples were {usual!r}; say by --input what the texts "
            f"are here, such a template over {', '.join(map(repr, names))}, or the column of texts that have it around "
            "them"
        )


def _made_of(kind: str, names: list[str], parts: ColumnText | None) -> str:
    if parts is not None and not parts.is_cell:
        return f"the texts are {parts.text!r}, as the prompt's examples were"
    return f"the texts are in the {kind} {names[0]}"


def _is_header(sample: FileRecords, names: list[str], sought: set[str]) -> bool:
    if any(in_header(name, names) for name in sought):
        return True
    if len(names) == 1 and names[0].lower() not in INPUTS:  # a short text could be a name with spaces
        return bool(_NAME.fullmatch(names[0])) and len(sample.rows) > 1
    return like_names(sample, [name.lower() for name in names])


def _text_column(path: Path, names: list[str], known: list[str]) -> int:
    """Where the texts are: in a column with such a name, or in the only one that is no id and no label."""
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
    known = {name for row in sample.rows if isinstance(row.cells, dict) for name in (*key_paths(row.cells), *row.cells)}
    parts = _template(input, "--input") if input else None
    if parts is None and usual and set(_columns(usual, _USUAL)) <= known:
        parts = ColumnText.of(usual)
    if parts is None:
        _check_made(path, usual, paths)
        found = next((name for name in INPUTS if {name} & {*paths, *first}), texts[0] if len(texts) == 1 else None)
        if found is None:
            raise UserError(f"{path} has the keys {', '.join(map(repr, paths))}; say by --input which the texts are in")
        parts = ColumnText(found, ("", found, ""))
    if missing := [name for name in parts.columns if name not in known]:
        raise UserError(f"{path} has no key {missing[0]!r} for --input; {nearest(missing[0], paths)}")
    told = [] if input else [_made_of("key", list(parts.columns), parts)]
    return TextTable(path, "json", list(first), parts, told, encoding=encoding)


def _text_lines(path: Path, encoding: str | None) -> Iterator[str]:
    for block in with_line_feeds(blocks(path, encoding)):
        lines = block.removesuffix("\n").split("\n")
        yield from (line.removesuffix("\r") for line in lines)
