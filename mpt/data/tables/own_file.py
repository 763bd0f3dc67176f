"""A user's own task as its YAML file says it: the tables beside it, texts of their columns, labels, metric and splits.

It is called by the file's name. ``input`` and ``output`` are a column's name, or a template over columns: ``{subject}``
stands for a cell, ``{ticket.body}`` for a key within a key of a JSON object, ``{2}`` for a column of a table without
a header, ``{{`` for a brace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from mpt.metrics.by_name import METRICS
from mpt.util.places import expanded
from mpt.util.schema import (
    Checked,
    FromFile,
    Text,
    Texts,
    adapter,
    as_text,
    checking,
    keys,
    one_of,
    read_values,
    shown,
    whole,
)

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def is_template(text: str | None) -> bool:
    """Whether a text is a template over columns, and not the name of one."""
    return bool(set(text or "") & set("{}"))


@dataclass(frozen=True)
class ColumnText:
    """A text that columns make.

    Attributes:
        text: as the file has it.
        parts: literal texts and names of columns in turn, beginning with a literal.
    """

    text: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> ColumnText:
        """A template or the name of a column.

        Raises:
            ValueError: a brace that is no column's.
        """
        if not is_template(text):
            return cls(text, ("", text, ""))
        parts, place = [""], 0
        for match in _PART.finditer(text):
            parts[-1] += text[place : match.start()]
            place = match.end()
            if match[0] in ("{{", "}}"):
                parts[-1] += match[0][0]
            elif match[1] is None:
                raise ValueError("has a brace without its twin; {column} is a column's cell, {{ a brace")
            elif not match[1].strip():
                raise ValueError("has {}, which names no column")
            else:
                parts += [match[1].strip(), ""]
        parts[-1] += text[place:]
        if len(parts) == 1:
            raise ValueError(f"has no column; it takes a cell as {{column}}, not {shown(text)}")
        return cls(text, tuple(parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it takes, each once."""
        return tuple(dict.fromkeys(self.parts[1::2]))

    @property
    def is_cell(self) -> bool:
        """Whether it is one cell and nothing else."""
        return self.parts[0] == self.parts[-1] == "" and len(self.parts) == 3

    def of_cells(self, cells: Mapping[str, str]) -> str:
        """The text of some cells; empty if all of those that it takes are."""
        if not any(cells[column].strip() for column in self.columns):
            return ""
        return "".join(cells[part] if place % 2 else part for place, part in enumerate(self.parts))

    def filled_with(self, word: str) -> str:
        """The text with one word in every cell."""
        return "".join(word if place % 2 else part for place, part in enumerate(self.parts))


def _column_text(given: Any, _: object) -> ColumnText:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    return ColumnText.of(as_text(given, "").strip())


def _labels(given: Any, _: object) -> Mapping[str, str]:
    """What stands in the table, to the label word."""
    if not isinstance(given, dict):
        given = {text: text for text in adapter(Texts).validate_python(given)}
    found: dict[str, str] = {}
    for raw, word in given.items():
        if not isinstance(raw, (str, int)) or isinstance(raw, bool):
            raise ValueError(f": the value {shown(raw)} could be written in several ways; put it in quotes")
        raw, word = str(raw).strip(), as_text(word, f": the word of {shown(raw)}").strip()
        if raw in found:
            raise ValueError(f" names {shown(raw)} twice")
        if not word or set(word) & set("\t\r\n"):
            raise ValueError(f": the word of {shown(raw)} must be in one line and not empty, not {shown(word)}")
        found[raw] = word
    if len(set(found.values())) < 2:
        raise ValueError("must name two labels at least; leave it out where the output is free text")
    return found


def _is_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"is a share above 0 and below 1, not {share:g}")


_TEXT = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]}
_LABELS = {"anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "array"}]}

Column = Annotated[ColumnText, Checked(_column_text, _TEXT)]


@dataclass(frozen=True, kw_only=True)
class OwnTaskFile(FromFile):
    """What the file of an own task may say.

    Attributes:
        file: the one table, in the YAML file's folder or by a path from there; or in its place ``train``, and ``dev``
            and ``test`` where these are files of their own.
        input, output: of an example.
        labels: label words; or what stands in the table, to the label word.
        free_text: whether the outputs are no labels, whatever they look like.
        metric: one of CrossFit's; chosen by the outputs if not given.
        test_share: of the examples of each label that are test, where that is no file of its own.
        split_seed: of that choice.
        header: whether tables have one; they do where the first line has the columns' names, if not given.
        encoding: of the tables, by Python's name; UTF-8 if not given.
    """

    file: Text | None = None
    train: Text | None = None
    dev: Text | None = None
    test: Text | None = None
    input: Column
    output: Column
    labels: Annotated[Any, Checked(_labels, _LABELS)] = field(default_factory=dict)
    free_text: bool = False
    metric: Annotated[str | None, one_of(tuple(METRICS))] = None
    test_share: Annotated[float, checking(_is_share)] = 0.2
    split_seed: Annotated[int, whole(0)] = 13
    header: bool | None = None
    encoding: Text | None = None

    MISPLACED: ClassVar = {
        "name": "is not given: a task is called by its file's name",
        "source": "is of a task of the catalogue's form, which mpt data build makes from the hub; here file names a "
        "table of yours",
    }

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        missing = [] if {"file", "train"} & content.keys() else ["file (or train)"]
        missing += [name for name in ("input", "output") if name not in content]
        if missing:
            raise ValueError(f": the {keys(missing)} {'are' if missing[1:] else 'is'} missing")
        if idle := [name for name in ("test_share", "split_seed") if name in content and "test" in content]:
            raise ValueError(f": {idle[0]} says how test is split off, but test is a file of its own; give one of them")
        return content

    def __post_init__(self) -> None:
        if self.file is not None and (others := [name for name in ("train", "dev", "test") if getattr(self, name)]):
            raise ValueError(f": give file or train, not both; with {others[0]} the examples are in train")
        if self.labels and self.free_text:
            raise ValueError(": labels and free_text contradict one another: give one")
        if shared := [column for column in self.input.columns if column in self.output.columns]:
            raise ValueError(f": input and output both take {shown(shared[0])}, and the answer would be in the input")

    def tables(self, folder: Path) -> dict[str, Path]:
        """The tables, by split.

        Args:
            folder: the YAML file's.
        """
        files = {"train": self.file or self.train, "dev": self.dev, "test": self.test}
        return {split: folder / expanded(name) for split, name in files.items() if name is not None}


def read_own_file(path: Path) -> OwnTaskFile:
    """What the file says, checked.

    Raises:
        UserError: it cannot be read, is not YAML, or has a wrong key or value; by file, line and key.
    """
    return read_values(path, "task file", OwnTaskFile)
