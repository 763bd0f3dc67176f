"""How a task's examples are made from the rows of its source: what the lower half of a catalogue file says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mpt.data.catalogue.source import DataSource
from mpt.data.catalogue.steps import Step, row_function
from mpt.data.catalogue.template import Row, Template
from mpt.util.errors import UserError


class Record(NamedTuple):
    """One line of CrossFit's files: the first tab ends the input, further tabs separate several gold outputs."""

    input: str
    output: str


@dataclass(frozen=True)
class Sample:
    """An invented row of the source's form, and the records CrossFit would make of it.

    Attributes:
        rows: one row, or a few where one record takes several.
        records: (input, output) each.
    """

    rows: tuple[Row, ...]
    records: tuple[Record, ...]


@dataclass(frozen=True)
class ExampleRecipe:
    """From rows to records.

    Attributes:
        source: where the rows come from.
        columns: what each row must have.
        input: template of the input.
        output: template of the output; a template that is one field holding a list gives several gold outputs.
        label: in its place, the column whose value is one of ``words``.
        words: label word by the column's value.
        steps: what is done to the rows first, one after the other.
        version: counts changes of what is rendered.
        note: what a user should know about the source.
        example: see :class:`Sample`.
    """

    source: DataSource
    columns: tuple[str, ...]
    input: Template
    output: Template | None = None
    label: str = ""
    words: Mapping[Any, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    version: int = 1
    note: str = ""
    example: Sample | None = None

    def records(self, rows: Iterable[Row], where: str) -> Iterator[Record]:
        """The records of some rows, in their order.

        Args:
            rows: of one split.
            where: what the rows are called in a complaint.

        Raises:
            UserError: a row without the columns, or of another form; a label that has no word.
        """
        seen = 0

        def counted() -> Iterator[Row]:
            nonlocal seen
            for row in rows:
                seen += 1
                if missing := [column for column in self.columns if column not in row]:
                    raise UserError(
                        f"{where}, row {seen} has no column {missing[0]}; it has {', '.join(row)}. The source's "
                        "schema is not the one that the task's catalogue file was written for."
                    )
                yield row

        try:
            prepared = counted()
            for step in self.steps:
                prepared = row_function(step.function)(prepared, **step.options)
            for row in prepared:
                yield Record(self.input.render(row), self._output(row, f"{where}, row {seen}"))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"{where}, row {seen} has not the form that the task's catalogue file was written for: "
                f"{type(error).__name__} {error}."
            ) from error

    def _output(self, row: Row, where: str) -> str:
        if self.output is not None:
            return "\t".join(self.output.render_all(row))
        value = row[self.label]
        if value not in self.words:
            known = ", ".join(f"{key} ({word})" for key, word in self.words.items())
            given = "null" if value is None else repr(value)
            raise UserError(f"{where} has the label {given} in column {self.label}; known are {known}.")
        return self.words[value]
