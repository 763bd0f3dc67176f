"""A learned prompt in Python: ``mpt.load_prompt(FOLDER)(texts)``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from mpt.backbone.loading import BackboneOptions
from mpt.data.tables.own_file import ColumnText
from mpt.prompt.files import StoredPrompt
from mpt.prompt.files import load_prompt as read_stored
from mpt.use.answers.folders import prompt_folder
from mpt.use.answers.opening import open_predictor
from mpt.use.answers.predictor import Answer, Predictor
from mpt.util.errors import UserError
from mpt.util.names import nearest


@dataclass(frozen=True)
class LoadedPrompt(StoredPrompt):
    """A prompt from a folder, which answers texts.

    Attributes:
        folder: where it is from.
        options: see :func:`mpt.use.answers.opening.open_predictor`.
    """

    folder: Path = Path()
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def predictor(self) -> Predictor:
        """The prompt on its backbone, which is loaded when it is first asked for."""
        return open_predictor([self.folder], **self.options)

    def __call__(self, texts: Sequence[str | Mapping[str, str]]) -> list[Answer]:
        """The B answers to B texts.

        Args:
            texts: whole inputs; or mappings of columns, of which the prompt's template makes them.

        Raises:
            UserError: one is neither, or lacks a column.
        """
        rows = [texts] if isinstance(texts, str | Mapping) else list(texts)
        return self.predictor([self._made(number, row) for number, row in enumerate(rows, start=1)])

    def _made(self, number: int, row: object) -> str:
        if isinstance(row, str):
            return row
        if not isinstance(row, Mapping):
            raise UserError(f"row {number}: a text or a mapping of columns was expected, not {row!r}")
        template = self.facts.get("template")
        try:
            made = ColumnText.of(template or "")
        except (TypeError, ValueError):  # a stranger's
            template = None
        if not template:
            raise UserError(f"row {number}: prompt {self.folder} knows no columns; give the text itself")
        if lacks := [name for name in made.columns if not isinstance(row.get(name), str)]:
            raise UserError(f"row {number} has no text {lacks[0]!r}, which {template!r} takes")
        return made.of_cells(row)


def load_prompt(folder: Path | str, **options: Any) -> LoadedPrompt:
    """Read a prompt's folder.

    >>> import mpt
    >>> mpt.load_prompt("synthetic:syn-age-post-13", max_target_length=8)(["post : the aged cats view a pear . age ?"])
    [Answer(text='autumn', probability=None, probabilities={})]

    Args:
        folder: see :func:`mpt.use.answers.folders.prompt_folder`.
        options: of :func:`mpt.use.answers.opening.open_predictor`: ``backbone``, ``labels``, ``free``, ``device`` …

    Raises:
        UserError: it holds no prompt, or an option is none; when it first answers, if the backbone is not to be had.
    """
    known = {*inspect.signature(open_predictor).parameters, *(one.name for one in fields(BackboneOptions))}
    known -= {"folders", "options"}
    if unknown := [name for name in options if name not in known]:
        raise UserError(f"mpt.load_prompt: {unknown[0]} is no option; {nearest(unknown[0], known)}")
    found = prompt_folder(folder)
    stored = read_stored(found)
    return LoadedPrompt(stored.weight, stored.backbone, stored.facts, found, options)
