"""``mpt.adapt``: what the command does, with examples from a file, a data frame or a list."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from mpt.adapt.defaults import library_of
from mpt.adapt.examples import ExampleFiles, read_examples
from mpt.adapt.result import AdaptResult
from mpt.adapt.run import AdaptOptions, adapt
from mpt.backbone.device import device_of
from mpt.backbone.loading import BackboneOptions
from mpt.library.library import Library
from mpt.present.terminal import console
from mpt.util.errors import UserError
from mpt.util.files import refuse_full
from mpt.util.places import expanded


class Frame(Protocol):
    """A data frame of pandas; any object whose ``to_dict("records")`` gives a mapping for each row."""

    def to_dict(self, orient: str, /) -> list[dict[Any, Any]]: ...


ExampleSource = Path | str | Frame | Iterable[tuple[str, str]] | Iterable[Mapping[str, Any]]
"""Examples: a file as ``mpt adapt`` reads it, a frame, pairs of input and output, or mappings."""


def adapt_examples(
    train: ExampleSource,
    library: Library | Path | str | None = None,
    out: Path | str | None = None,
    *,
    dev: ExampleSource | None = None,
    test: ExampleSource | None = None,
    backbone: str | None = None,
    options: BackboneOptions | None = None,
    choices: AdaptOptions | None = None,
    device: str | None = None,
    progress: bool = True,
    **reading: Any,
) -> AdaptResult:
    """Find the best prompt for a new task, and write it to a folder that PEFT loads.

    Args:
        train, dev, test: examples; without dev it is split off train.
        library: one that is open, a folder, the name of a shipped one, or ``hub:owner/name``; its prompts are
            tried beside the task's own starts: sampled vocabulary, label words and the instruction. The one that ships
            for the backbone, if it is not given; none if it is ``"none"``.
        out: the prompt's folder, new; has to be given.
        backbone: hub name, folder or ``mpt-tiny``; the library's if not given, or mpt-tiny.
        options: of the backbone.
        choices: how the prompt is sought; its seed orders the batches.
        device: ``cpu`` or ``cuda``; a GPU, if there is one, if not given.
        progress: whether it tells what it does.
        reading: further attributes of :class:`mpt.adapt.examples.ExampleFiles`: ``input`` and ``output`` name the
            columns, ``labels`` the label words, ``seed`` splits off
            dev.

    Raises:
        UserError: the examples cannot be learned from, the library has no prompt of the backbone, or ``out`` holds
            something.
    """
    terminal = console() if progress else Console(quiet=True)
    if out is None:
        raise UserError("mpt.adapt: out must be given, the folder that the prompt is written to")
    out = expanded(out)
    refuse_full(out, "out")
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Any] = {"train": train, "dev": dev, "test": test}
        files = {name: _file(rows, Path(folder), name) for name, rows in files.items() if rows is not None}
        try:
            examples = read_examples(ExampleFiles(**files, **_as_typed(reading)))
        except TypeError as error:
            raise UserError(f"mpt.adapt: {error}") from error
        except UserError as error:
            raise UserError(_of_rows(str(error), files, folder)) from error
    for sentence in examples.told:
        terminal.print(sentence, markup=False)
    choices = choices or AdaptOptions()
    named = library if isinstance(library, Library) else None if library is None else str(library)
    opened = named if isinstance(named, Library) else library_of(named, backbone, choices.prompt_length)
    if opened is not None:
        opened.check_excluded(choices.exclude)
    found, _ = adapt(
        examples,
        opened,
        backbone,
        options or BackboneOptions(),
        choices,
        out,
        terminal,
        device_of(device),
    )
    return found


def _as_typed(reading: dict[str, Any]) -> dict[str, Any]:
    """Columns by number as a command line has them."""
    if isinstance(reading.get("labels"), str):
        raise UserError(f"mpt.adapt: labels must be a list of texts, not the text {reading['labels']!r}")
    columns = {name: str(reading[name]) for name in ("input", "output") if type(reading.get(name)) is int}
    return {**reading, **columns}


def _of_rows(told: str, files: dict[str, Path], folder: str) -> str:
    """A complaint with what was given in the place of the files that were made of it."""
    for name, path in files.items():
        if path.is_relative_to(folder):
            told = told.replace(f"{path}, line ", f"{name}, row ").replace(str(path), name)
    return told


def _file(rows: ExampleSource, folder: Path, name: str) -> Path:
    """Rows as a file, in which a row is a line."""
    if isinstance(rows, (str, Path)):
        return expanded(rows)
    records = rows.to_dict("records") if hasattr(rows, "to_dict") else list(rows)
    path = folder / f"{name}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(records, start=1):
            if not isinstance(row, Mapping):
                if not isinstance(row, tuple | list) or len(row) != 2:
                    raise UserError(f"{name}, row {number}: a pair of input and output was expected, not {row!r}")
                row = {"input": row[0], "output": row[1]}
            file.write(json.dumps({str(key): value for key, value in row.items()}, default=_plain) + "\n")
    return path


def _plain(value: Any) -> str | None:
    """What JSON has no word for: a missing value of a data frame is none, anything else the text that it prints as."""
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)
