"""Files as people have them, as records of cells: CSV, TSV and JSONL, each record with the line that it begins on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, filterfalse, islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO

from mpt.util.errors import UserError
from mpt.util.reading import LONGEST_LINE, open_file, parse_json
from mpt.util.utf8 import utf8_text

Cells = dict[str, Any]

_CSV = (".csv",)
_TSV = (".tsv", ".tab", ".txt")
_JSON = (".jsonl", ".ndjson", ".json")
SUFFIXES = _CSV + _TSV + _JSON
_LONGEST_NUMBER = 1000  # digits, as of a key that counts nothing
_BLOCK = 1 << 18
_SAMPLE = 1000
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^\t\n"]*?))(\t|\r?\n)')
"""A cell of a TSV and what ends it; one with a quote is in quotes."""
_CLOSED = re.compile(r'"[^"]*(?:""[^"]*)*"(?!")')
_UNWRITABLE = re.compile("[\\0\\ud800-\\udfff]")
"""What :func:`mpt.util.reading.is_writable` denies; UTF-8's own reader tells of it."""

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
        delimiter: of a table.
    """

    file: Path
    kind: str
    rows: list[FileRecord]
    quoted: bool = False
    delimiter: str = "\t"


@dataclass(frozen=True)
class Cut:
    """How a file's lines are cut into records.

    Attributes:
        kind: ``csv``, ``tsv`` or ``json``.
        delimiter: of a table.
        skipped: lines before the first record.
        spaced: whether quotes stand behind spaces too.
        quoted: whether a TSV's cells are quoted.
    """

    kind: str
    delimiter: str = "\t"
    skipped: int = 0
    spaced: bool = False
    quoted: bool = False

    @classmethod
    def of(cls, path: Path, text: str, quoted: bool = False) -> Cut:
        """As a file's suffix and its text say it.

        Args:
            text: of the file, or its first lines.
            quoted: whether a TSV's cells are.

        Raises:
            UserError: another suffix.
        """
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise UserError(
                f"{path}: the suffix says what a file is; .csv, .tsv or .jsonl are read, not {suffix or 'none'}"
            )
        if suffix in _JSON:
            return cls("json")
        if suffix in _TSV:
            return cls("tsv", quoted=quoted)
        lines = list(_lines(text))
        stated = _SEP.fullmatch(lines[0].strip(" \r\n")) if lines else None
        skipped = 1 if stated else 0
        delimiter = stated[1] if stated else _delimiter(lines)
        # Quotes behind a space are quotes all the same, where there are such.
        rows = _rows(lines[skipped:], delimiter)
        spaced = any(cell[:1] == " " and cell.lstrip()[:1] == '"' for row in rows for cell in row)
        return cls("csv", delimiter, skipped, spaced)

    def records(self, path: Path, lines: Iterable[str], keep_blank: bool = False) -> Iterator[FileRecord]:
        """The records that are not blank.

        Args:
            path: the file, for complaints.
            lines: each with a line feed at its end.
            keep_blank: those of a table too whose cells are all empty, after the first that is not; a line with nothing
                on it is no record.

        Raises:
            UserError: a broken quote or JSON line, with its number.
        """
        if self.kind == "json":
            return _json_records(path, lines)
        if self.kind == "tsv" and not self.quoted:
            cells = (line.removesuffix("\n").removesuffix("\r").split("\t") for line in lines)
            rows: Iterator[FileRecord] = (FileRecord(at, row) for at, row in enumerate(cells, 1) if row != [""])
        else:
            rows = self._table(path, islice(lines, self.skipped, None))
        return (dropwhile if keep_blank else filterfalse)(_is_blank, rows)

    def _table(self, path: Path, lines: Iterable[str]) -> Iterator[FileRecord]:
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True, skipinitialspace=self.spaced)
        begins = self.skipped + 1
        try:
            for row in reader:
                if row:
                    yield FileRecord(begins, row)
                begins = self.skipped + reader.line_num + 1
        except csv.Error as error:
            why = (
                f"its quoting is broken ({error}); within quotes a quote is doubled, and a quoted cell ends before a "
                f"{_named(self.delimiter)}"
            )
            raise UserError(f"{path}: the record that begins on line {begins} cannot be read: {why}") from None


def must_be_quoted(delimiter: str) -> str:
    """What a record of too many cells, or too few, wants."""
    return f"a text with a {_named(delimiter)} must be in quotes"


def _named(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


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
    kind = Cut.of(path, "").kind  # complains of a suffix before anything is read
    text = "".join(blocks(path, encoding))
    if "\n" not in text:
        text = text.replace("\r", "\n")
    cut = Cut.of(path, text, kind == "tsv" and _is_quoted_tsv([text]))
    if cut.kind == "json" and text.lstrip().startswith("["):
        return FileRecords(path, "json", _json_list(path, text))
    return FileRecords(path, cut.kind, list(cut.records(path, _lines(text))), cut.quoted, cut.delimiter)


def stream_records(
    path: Path, encoding: str | None = None, quoted: bool | None = None
) -> tuple[FileRecords, Iterator[FileRecord]]:
    """The first records of a file, by which it is judged, and all of them one after another.

    What :func:`read_records` reads, for files of any size; but a JSON list is read at once, and of all of them those
    whose cells are empty are a part.

    Args:
        quoted: whether a TSV's cells are; if not given, the file is looked through for it.

    Raises:
        UserError: see :func:`read_records`.
    """
    if quoted is None:
        quoted = Cut.of(path, "").kind == "tsv" and _is_quoted_tsv(with_line_feeds(blocks(path, encoding)))
    parts = with_line_feeds(blocks(path, encoding))
    head = next(parts, "")
    after = next(parts, None)
    if path.suffix.lower() in _JSON and head.lstrip().startswith("["):
        found = read_records(path, encoding)
        return found, iter(found.rows)
    cut = Cut.of(path, head, quoted)
    sample: list[FileRecord] = []
    try:
        sample.extend(islice(cut.records(path, _lines(head)), _SAMPLE))
    except UserError:
        if after is None or not sample:  # the last record of the first part may go on in the next one
            raise
    lines = chain.from_iterable(map(_lines, chain([head], [] if after is None else [after], parts)))
    return FileRecords(path, cut.kind, sample, cut.quoted, cut.delimiter), cut.records(path, lines, keep_blank=True)


def _is_blank(record: FileRecord) -> bool:
    """Whether all cells of a table's record are empty."""
    return not any(map(str.strip, record.cells))


def with_line_feeds(texts: Iterator[str]) -> Iterator[str]:
    """A file's blocks; a carriage return ends a line where there is no line feed."""
    head = next(texts, "")
    old = "\n" not in head
    return (text.replace("\r", "\n") if old else text for text in chain([head], texts))


def blocks(path: Path, encoding: str | None = None) -> Iterator[str]:
    """A file's text in blocks of whole lines.

    Raises:
        UserError: it cannot be read, or is of another encoding, or has a line of more than 16 MB: with the line.
    """
    try:
        with open_file(path) as raw:
            if encoding is None:
                yield from _utf8_blocks(path, raw)
                return
            with io.TextIOWrapper(raw, encoding, newline="\n") as file:
                line = 1
                while text := file.read(_BLOCK) + file.readline(LONGEST_LINE):
                    if wrong := _UNWRITABLE.search(text):
                        number = line + text.count("\n", 0, wrong.start())
                        raise UserError(
                            f"{path}, line {number} holds a null byte or half a sign, read as {encoding}; name another "
                            "--encoding"
                        )
                    yield text.lstrip("\ufeff") if line == 1 else text
                    line += text.count("\n")
    except OSError as error:
        raise UserError(f"{path}: it cannot be read: {error.strerror}") from error
    except LookupError:
        raise UserError(
            f"--encoding {encoding}: there is none of that name; utf-8, cp1252 and utf-16 are some"
        ) from None
    except UnicodeError as error:
        raise UserError(f"{path} is not {encoding}: {error}; name another --encoding") from None


def _utf8_blocks(path: Path, raw: BinaryIO) -> Iterator[str]:
    line = 1
    while content := raw.read(_BLOCK):
        end = raw.readline(LONGEST_LINE)
        if len(end) == LONGEST_LINE:
            number = line + content.count(b"\n")
            raise UserError(f"{path}, line {number} is longer than {LONGEST_LINE >> 20} MB, which is no text to read")
        content += end
        try:
            yield utf8_text(path, content, line)
        except UserError as error:
            raise UserError(f"{error}, or name its encoding by --encoding (cp1252, utf-16 …)") from None
        line += content.count(b"\n")


def _lines(text: str) -> Iterator[str]:
    """Each with a line feed at its end, the last one too. Only line feeds end lines, not Unicode's other separators."""
    parts = text.split("\n")
    if not parts[-1]:
        parts.pop()
    return (f"{part}\n" for part in parts)


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


def _is_quoted_tsv(texts: Iterable[str]) -> bool:
    """Whether quotes stand around cells as spreadsheets write them; if not, they are signs like others.

    Spreadsheets quote a cell that holds a quote (which they double), a tab, a line break or a comma, and no other.

    Args:
        texts: of a whole file, in blocks of whole lines.
    """
    some = bare = bare_comma = sure = False
    needed, rest = True, ""
    for text in _with_last_line_feed(texts):
        if len(rest) > LONGEST_LINE:
            return False
        if '"' not in text:
            if not rest:
                bare, bare_comma = bare or bool(text.strip()), bare_comma or "," in text
            rest += text if rest else ""  # an open cell goes on
            continue
        rest, place = rest + text, 0
        while cell := _CELL.match(rest, place):
            place = cell.end()
            if cell[1] is None:
                bare, bare_comma = bare or bool(cell[2].strip()), bare_comma or "," in cell[2]
            else:
                some, sure = True, sure or bool(re.search('["\t\n]', cell[1]))
                needed = needed and bool(re.search('[",\t\n]', cell[1]))
        rest = rest[place:]
        if (bare and not needed) or (rest and (rest[0] != '"' or _CLOSED.match(rest))):
            return False
    # A comma alone is no reason for a quote where other cells hold one without.
    return some and not rest and (not bare or (needed and (sure or not bare_comma)))


def _with_last_line_feed(texts: Iterable[str]) -> Iterator[str]:
    last = ""
    for text in texts:
        yield last
        last = text
    yield last if last.endswith("\n") else f"{last}\n"


def _json_list(path: Path, text: str) -> list[FileRecord]:
    try:
        rows = parse_json(text, _LONGEST_NUMBER, strict=True)
    except ValueError as error:
        raise UserError(f"{path} is no JSON list: {error}") from None
    return [_object(path, "entry", number, row) for number, row in enumerate(rows, start=1)]


def _json_records(path: Path, lines: Iterable[str]) -> Iterator[FileRecord]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = parse_json(line, _LONGEST_NUMBER, strict=True)
            except ValueError as error:
                raise UserError(f"{path}, line {number} is not JSON: {error}") from None
            yield _object(path, "line", number, row)


def _object(path: Path, where: str, number: int, row: Any) -> FileRecord:
    if not isinstance(row, dict):
        raise UserError(f"{path}, {where} {number} is no JSON object with an input and an output")
    return FileRecord(number, row)
