"""A task's catalogue file: YAML with the keys below, read whole or refused with what is wrong.

``name``, ``type``, ``category``, ``metric``, ``by_label``, ``labels`` say what the task is; ``source``, ``columns``,
``rows``, ``input``, ``output`` or ``label``, ``version``, ``note``, ``example`` how its records are made
(:class:`mpt.data.catalogue.recipe.ExampleRecipe`). ``labels`` maps the values of the column ``label`` to words, or
lists the words of an ``output``. ``rows`` is a step, ``function`` and its options, or a list of such.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpt.data.catalogue.recipe import ExampleRecipe, Record, Sample
from mpt.data.catalogue.source_keys import source_of
from mpt.data.catalogue.steps import Step, check_options, row_function
from mpt.data.catalogue.template import Template
from mpt.metrics.crossfit import METRICS
from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.yaml_file import parse_yaml, read_text
from mpt.util.yaml_keys import Keys, shown, text, texts

TYPES = ("classification", "qa", "generation", "other")
"""CrossFit's four groups; ``generation`` is its conditional generation."""

_REQUIRED = ("name", "type", "category", "metric", "by_label", "source", "input", "example")
_OPTIONAL = ("labels", "label", "output", "columns", "rows", "version", "note")


def read_catalogue_file(path: Path) -> dict[str, Any]:
    """The keyword arguments of :class:`mpt.data.tasks.task.Task` that a catalogue file gives.

    Raises:
        UserError: no such file, no YAML, a key or value that cannot be, by file and key.
    """
    where = f"The task file {path}"
    content = parse_yaml(read_text(path, "task file"), where)
    try:
        return _task(Keys(content, "", _REQUIRED, _OPTIONAL), path.stem)
    except ValueError as error:
        raise UserError(f"{where}: {error}.") from None


def _task(keys: Keys, stem: str) -> dict[str, Any]:
    name = keys.text("name")
    if not is_folder_name(name) or name.startswith("."):
        raise ValueError(f"name {name!r} cannot be the name of a folder")
    if name != stem:
        raise ValueError(f"name is {name!r}; a task's file is called after it, {name}.yaml")
    type, metric = keys.text("type"), keys.text("metric")
    if type not in TYPES:
        raise ValueError(f"type is one of {', '.join(TYPES)}, not {shown(type)}")
    if metric not in METRICS:
        raise ValueError(f"metric is one of {', '.join(METRICS)}, not {shown(metric)}")
    if ("label" in keys) == ("output" in keys):
        raise ValueError(
            "either label (a column whose values labels maps to words) or output (a template) must be given"
        )
    category = keys.text("category")
    if not category.isprintable():
        raise ValueError(f"category must be in one line and without tabs, not {shown(category)}")
    words = _words(keys) if "label" in keys else {}
    labels = tuple(dict.fromkeys(words.values())) if "label" in keys else _labels(keys)
    return {
        "name": name,
        "type": type,
        "category": category,
        "metric": metric,
        "by_label": keys.flag("by_label"),
        "labels": labels,
        "recipe": _recipe(keys, words),
    }


def _words(keys: Keys) -> dict[Any, str]:
    """With a label column: word by its value."""
    if "labels" not in keys or not isinstance(keys["labels"], dict) or not keys["labels"]:
        given = f", not {shown(keys['labels'])}" if "labels" in keys and keys["labels"] != {} else ""
        raise ValueError(f"labels must map each value of the column label to its word{given}")
    for value, word in keys["labels"].items():
        _check_word(word, f"labels: the word of {shown(value)}")
    return keys["labels"]


def _labels(keys: Keys) -> tuple[str, ...]:
    """With an output: all that it may be, if that is known."""
    if "labels" not in keys:
        return ()
    if isinstance(keys["labels"], dict):
        raise ValueError("labels must be a list of words where there is an output; a mapping goes with label")
    words = texts(keys["labels"], "labels")
    for word in words:
        _check_word(word, "each of labels")
    return words


def _check_word(word: Any, key: str) -> None:
    if set(text(word, key)) & set("\t\r\n"):
        raise ValueError(f"{key} must be in one line and without tabs, not {shown(word)}")


def _recipe(keys: Keys, words: Mapping[Any, str]) -> ExampleRecipe:
    source = source_of(keys["source"])
    input = _template(keys, "input")
    output = _template(keys, "output") if "output" in keys else None
    label = keys.text("label", "")
    steps = _steps(keys["rows"]) if "rows" in keys else ()
    needed = tuple(dict.fromkeys([*input.columns, *(output.columns if output else (label,))]))
    if "columns" in keys:
        columns = texts(keys["columns"], "columns")
        if not steps and (lacking := [column for column in needed if column not in columns]):
            raise ValueError(f"columns must list {lacking[0]}, which input, output or label takes")
    elif steps:
        raise ValueError("with rows, columns must list the source's columns that its functions and the templates take")
    else:
        columns = needed
    return ExampleRecipe(
        source=source,
        columns=columns,
        input=input,
        output=output,
        label=label,
        words=words,
        steps=steps,
        version=keys.whole("version", default=1, least=1),
        note=keys.text("note", ""),
        example=_example(keys["example"]),
    )


def _template(keys: Keys, name: str) -> Template:
    given = keys.text(name)
    try:
        list(string.Formatter().parse(given))
    except ValueError:
        raise ValueError(f"{name} has a brace without its twin; {{column}} is a field, {{{{ a brace") from None
    try:
        template = Template.of(given)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not template.columns:
        raise ValueError(f"{name} has no field; it takes a column of the source as {{column}}, not {shown(given)}")
    return template


def _steps(content: Any) -> tuple[Step, ...]:
    if not isinstance(content, list):
        return (_step(content, "rows"),)
    if not content:
        raise ValueError("rows is an empty list; it must have one step at least, or be left out")
    return tuple(_step(one, f"rows, step {number}") for number, one in enumerate(content, start=1))


def _step(content: Any, key: str) -> Step:
    if not isinstance(content, dict):
        raise ValueError(f"{key} must be a mapping of function and the function's options, not {shown(content)}")
    options = dict(content)
    if "function" not in options:
        raise ValueError(f"{key} has no key function")
    step = Step(text(options.pop("function"), f"{key}: function"), options)
    if odd := [name for name in options if not isinstance(name, str)]:
        raise ValueError(f"{key} must be a mapping of texts, and {shown(odd[0])} is none: put it in quotes")
    try:
        row_function(step.function)
        check_options(step)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return step


def _example(content: Any) -> Sample:
    given = content if isinstance(content, dict) else {}
    rows = "rows" if "rows" in given else "row"
    records = ("records",) if "records" in given else ("input", "output")
    keys = Keys(content, "example", (rows, *records))
    return Sample(
        tuple(_row(row, f"example.{rows}") for row in (_mappings(keys, "rows") if rows == "rows" else [keys["row"]])),
        tuple(
            _record(Keys(record, "each of example.records", ("input", "output")))
            for record in _mappings(keys, "records")
        )
        if "records" in keys
        else (_record(keys),),
    )


def _mappings(keys: Keys, name: str) -> list[Any]:
    """A list, of what must be mappings."""
    if not isinstance(keys[name], list) or not keys[name]:
        given = "an empty one" if keys[name] == [] else shown(keys[name])
        raise ValueError(f"{keys.dotted(name)} must be a list of mappings, not {given}")
    return keys[name]


def _row(content: Any, key: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{key} must hold a mapping of columns to values, not {shown(content)}")
    if odd := [name for name in content if not isinstance(name, str)]:
        raise ValueError(f"{key} has the column {shown(odd[0])}, which must be a text: put it in quotes")
    return content


def _record(keys: Keys) -> Record:
    return Record(
        _any_text(keys["input"], keys.dotted("input")),
        "\t".join(_any_text(one, keys.dotted("output")) for one in _listed(keys["output"])),
    )


def _listed(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _any_text(content: Any, key: str) -> str:
    """A text, also an empty one."""
    return content if content == "" else text(content, key)
