"""A task's catalogue file: YAML with the keys below, read whole or refused with what is wrong.

``name``, ``type``, ``category``, ``metric``, ``by_label``, ``labels`` say what the task is; ``source``, ``columns``,
``rows``, ``input``, ``output`` or ``label``, ``version``, ``note``, ``example`` how its records are made
(:class:`mpt.data.catalogue.recipe.ExampleRecipe`). ``labels`` maps the values of the column ``label`` to words, or
lists the words of an ``output``. ``rows`` is a step, ``function`` and its options, or a list of such.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mpt.data.catalogue.recipe import ExampleRecipe, Record, Sample
from mpt.data.catalogue.source import DataSource
from mpt.data.catalogue.steps import Step, check_options, row_function
from mpt.data.catalogue.template import Template
from mpt.metrics.by_name import METRICS
from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.schema import (
    Checked,
    FromFile,
    Text,
    Texts,
    adapter,
    as_text,
    checking,
    listed,
    one_of,
    read_values,
    shown,
    whole,
)

TYPES = ("classification", "qa", "generation", "other")
"""CrossFit's four groups; ``generation`` is its conditional generation."""


def read_catalogue_file(path: Path) -> dict[str, Any]:
    """The keyword arguments of :class:`mpt.data.tasks.task.Task` that a catalogue file gives.

    Raises:
        UserError: no such file, no YAML, a key or value that cannot be, by file and key.
    """
    file = read_values(path, "task file", TaskFile)
    try:
        return file.task(path.stem)
    except ValueError as error:
        raise UserError(f"The task file {path}: {error}.") from None


def _is_name(name: str) -> None:
    if not is_folder_name(name) or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a folder")


def _is_category(category: str) -> None:
    if not category.isprintable():
        raise ValueError(f"must be in one line and without tabs, not {shown(category)}")


def _labels(given: Any, _: object) -> Any:
    """A mapping to words, or words."""
    if not isinstance(given, dict):
        given = adapter(Texts).validate_python(given)
    for key, word in given.items() if isinstance(given, dict) else ((word, word) for word in given):
        if set(as_text(word, f": the word of {shown(key)}")) & set("\t\r\n"):
            raise ValueError(f": the word of {shown(key)} must be in one line and without tabs, not {shown(word)}")
    return given


def _template(given: Any, _: object) -> Template:
    text = as_text(given, "")
    try:
        list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError("has a brace without its twin; {column} is a field, {{ a brace") from None
    try:
        template = Template.of(text)
    except ValueError as error:
        raise ValueError(f": {error}") from None
    if not template.columns:
        raise ValueError(f"has no field; it takes a column of the source as {{column}}, not {shown(text)}")
    return template


def _steps(given: Any, _: object) -> tuple[Step, ...]:
    if not isinstance(given, list):
        return (_step(given, ""),)
    if not given:
        raise ValueError("is empty; give one step at least, or leave it out")
    return tuple(_step(one, f", step {number}") for number, one in enumerate(given, start=1))


def _step(content: Any, at: str) -> Step:
    if not isinstance(content, dict):
        raise ValueError(f"{at} must be a mapping of function and the function's options, not {shown(content)}")
    options = dict(content)
    if "function" not in options:
        raise ValueError(f"{at} has no key function")
    step = Step(as_text(options.pop("function"), f"{at}: function"), options)
    if odd := [name for name in options if not isinstance(name, str)]:
        raise ValueError(f"{at} must be a mapping of texts, and {shown(odd[0])} is none: put it in quotes")
    try:
        row_function(step.function)
        check_options(step)
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from None
    return step


def _output(given: Any, _: object) -> str:
    """A text, also an empty one, or several."""
    return "\t".join(one and as_text(one, "") for one in (given if isinstance(given, list) else [given]))


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_STEP = {"type": "object", "required": ["function"], "properties": {"function": {"type": "string"}}}

Output = Annotated[str, Checked(_output, _TEXTS)]


@dataclass(frozen=True)
class RecordFile(FromFile):
    """One of the records of an example."""

    input: str
    output: Output


@dataclass(frozen=True)
class ExampleFile(FromFile):
    """What a task file says of its example: one row or several, and one record or several."""

    row: dict[str, Any] | None = None
    rows: Annotated[tuple[dict[str, Any], ...], listed("mappings", distinct=False)] = ()
    input: str | None = None
    output: Annotated[str | None, Checked(_output, _TEXTS)] = None
    records: Annotated[tuple[RecordFile, ...], listed("mappings", distinct=False)] = ()

    def __post_init__(self) -> None:
        if (self.row is None) == (not self.rows):
            raise ValueError("has either row or rows" if self.rows else "has no key row")
        for name in ("input", "output"):
            if (getattr(self, name) is None) == (not self.records):
                raise ValueError("has either records or input and output" if self.records else f"has no key {name}")

    @property
    def sample(self) -> Sample:
        records = tuple(Record(one.input, one.output) for one in self.records)
        rows = self.rows if self.row is None else (self.row,)
        return Sample(rows, records or (Record(str(self.input), str(self.output)),))


@dataclass(frozen=True, kw_only=True)
class TaskFile(FromFile):
    """What a task file may say."""

    name: Annotated[Text, checking(_is_name)]
    type: Annotated[Text, one_of(TYPES)]
    category: Annotated[Text, checking(_is_category)]
    metric: Annotated[Text, one_of(tuple(METRICS))]
    by_label: bool
    source: DataSource
    input: Annotated[Template, Checked(_template, {"type": "string"})]
    example: ExampleFile
    labels: Annotated[Any, Checked(_labels, {"anyOf": [{"type": "object"}, {"type": "array"}]})] = None
    label: Text = ""
    output: Annotated[Template | None, Checked(_template, {"type": "string"})] = None
    columns: Texts = ()
    rows: Annotated[tuple[Step, ...], Checked(_steps, {"anyOf": [_STEP, {"type": "array", "items": _STEP}]})] = ()
    version: Annotated[int, whole(1)] = 1
    note: Text = ""

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        if ("label" in content) == ("output" in content):
            raise ValueError(
                ": either label (a column whose values labels maps to words) or output (a template) must be given"
            )
        labels = content.get("labels", {})
        if "label" in content and (not isinstance(labels, dict) or not labels):
            given = "" if labels == {} else f", not {shown(labels)}"
            raise ValueError(f": labels must map each value of the column label to its word{given}")
        if "output" in content and labels and isinstance(labels, dict):
            raise ValueError(": labels must be a list of words where there is an output; a mapping goes with label")
        return content

    def task(self, stem: str) -> dict[str, Any]:
        """A task's facts and recipe.

        Args:
            stem: the file's name.
        """
        if self.name != stem:
            raise ValueError(f"name is {self.name!r}; a task's file is called after it, {self.name}.yaml")
        words = self.labels if self.label else {}
        return {
            "name": self.name,
            "type": self.type,
            "category": self.category,
            "metric": self.metric,
            "by_label": self.by_label,
            "labels": tuple(dict.fromkeys(words.values())) if self.label else self.labels or (),
            "recipe": ExampleRecipe(
                source=self.source,
                columns=self._columns(),
                input=self.input,
                output=self.output,
                label=self.label,
                words=words,
                steps=self.rows,
                version=self.version,
                note=self.note,
                example=self.example.sample,
            ),
        }

    def _columns(self) -> tuple[str, ...]:
        needed = tuple(dict.fromkeys([*self.input.columns, *(self.output.columns if self.output else (self.label,))]))
        if self.rows and not self.columns:
            raise ValueError(
                "with rows, columns must list the source's columns that its functions and the templates take"
            )
        if self.columns and not self.rows and (lacking := [one for one in needed if one not in self.columns]):
            raise ValueError(f"columns must list {lacking[0]}, which input, output or label takes")
        return self.columns or needed
