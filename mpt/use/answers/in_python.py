"""A learned prompt in Python: ``mpt.load_prompt(FOLDER)(texts)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mpt.prompt.files import StoredPrompt
from mpt.prompt.files import load_prompt as read_stored
from mpt.use.answers.folders import prompt_folder
from mpt.use.answers.opening import open_predictor
from mpt.use.answers.predictor import Answer, Predictor


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

    def __call__(self, texts: Sequence[str]) -> list[Answer]:
        """The B answers to B texts."""
        return self.predictor([texts] if isinstance(texts, str) else list(texts))


def load_prompt(folder: Path | str, **options: Any) -> LoadedPrompt:
    """Read a prompt's folder.

    >>> import mpt
    >>> mpt.load_prompt("synthetic:syn-age-post-13", max_target_length=8)(["post : the aged cats view a pear . age ?"])
    [Answer(text='autumn', probability=None, probabilities={})]

    Args:
        folder: see :func:`mpt.use.answers.folders.prompt_folder`.
        options: of :func:`mpt.use.answers.opening.open_predictor`: ``backbone``, ``labels``, ``free``, ``device`` …

    Raises:
        UserError: it holds no prompt; when it first answers, if the backbone is not to be had.
    """
    found = prompt_folder(folder)
    stored = read_stored(found)
    return LoadedPrompt(stored.weight, stored.backbone, stored.facts, found, options)
