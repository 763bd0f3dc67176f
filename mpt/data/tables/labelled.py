"""Examples whose inputs a template makes of several columns, as a file of texts has them, and their outputs beside."""

from __future__ import annotations

from mpt.data.tables.records import FileRecord
from mpt.data.tables.rows import ID, RowTable, as_text, column, key_paths
from mpt.data.tables.texts import TextTable
from mpt.util.errors import UserError
from mpt.util.names import nearest


def labelled(table: TextTable, output: str | None = None) -> RowTable:
    """The rows of a table or of JSON lines as examples.

    Args:
        output: column or key of the outputs; found by itself if it has a name such as label, or is the only column
            beside ids that the texts do not take.

    Raises:
        UserError: a column that is not there or cannot be told; no row left; with the file and the line.
    """
    if table.kind == "text":
        raise UserError(
            f"{table.file} holds a text a line; of labelled examples each record is an input and its output"
        )
    name = _output(table, output)
    found = RowTable(table.file, [*table.told, *([] if output else [f"the output is {name}"])])
    for row in table.rows():
        if isinstance(row.cells, dict):
            cells = {**key_paths(row.cells), **row.cells}
            if name not in cells:
                raise UserError(f"{table.file}, line {row.line} has no key {name!r}; {nearest(name, cells)}")
            value = cells[name]
        else:
            value = row.cells[table.names.index(name)]
        at = FileRecord(row.line, row.cells)
        outputs = value if isinstance(value, list) else [value]
        found.take(row.line, row.text, [as_text(table.file, at, name, one) for one in outputs])
    return found.checked()


def _output(table: TextTable, asked: str | None) -> str:
    if table.kind == "json" and asked is not None:
        return asked
    place = column(table.file, "output", asked, table.names, len(table.names))
    if place is not None:
        return table.names[place]
    taken = {part.partition(".")[0] for part in table.input.columns} | set(table.input.columns)
    left = [name for name in table.names if name not in taken and not ID.fullmatch(name)]
    if len(left) != 1:
        there = ", ".join(map(repr, table.names))
        raise UserError(f"{table.file} has {there}; say by --output which the outputs are in")
    return left[0]
