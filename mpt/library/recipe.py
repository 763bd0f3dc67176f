"""How the keys of a library were made: a new task's key has to be made in the same way to be compared with them."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mpt.util.errors import UserError
from mpt.util.reading import read_json
from mpt.util.schema import FromFile, Text, checked, whole

FILE = "library.json"
_FORMAT = 1
_LAST_SEED = 2**32 - 1
"""The largest that ``seed_everything`` of a run takes."""

OPTIONS = {
    "seed": "seed_everything",
    "prompt_length": "model.prompt_length",
    "learning_rate": "model.optimizer.lr",
    "batch_size": "data.batch_size",
    "key_steps": "trainer.max_steps",
    "chat_template": "model.backbone_options.chat_template",
}
"""What a run that makes a key, and nothing else, calls the parts of a recipe."""

Count = Annotated[int, whole(1, 2**31 - 1)]
Rows = Annotated[int, whole(1, 100_000)]
"""Of a prompt; more would be made, and fill the memory, before anything is compared with them."""


@dataclass(frozen=True)
class KeyRecipe(FromFile):
    """Prompt tuning for ``key_steps`` steps: the prompt it leaves is a task's key (SPoT, section 3.2).

    All keys start from the same prompt, that of ``seed``, so that they differ by what their tasks taught.

    Attributes:
        backbone: hub name, local folder, or ``mpt-tiny``.
        prompt_length: rows of a key and of a value, P.
        key_steps: optimiser steps to a key.
        learning_rate: of these steps.
        batch_size: examples a step, B.
        seed: of the prompt that every key starts from.
        chat_template: whether inputs were turns of a chat.

    Raises:
        UserError: a number that makes no sense.
    """

    backbone: Text
    prompt_length: Rows
    key_steps: Count
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    batch_size: Count
    seed: Annotated[int, whole(0, _LAST_SEED)]
    chat_template: bool = False

    def __post_init__(self) -> None:
        for name in ("prompt_length", "key_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"a library's {name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.seed <= _LAST_SEED:
            raise UserError(f"a library's seed must be from 0 to {_LAST_SEED}, not {self.seed}")
        if not 0 < self.learning_rate < math.inf:
            raise UserError(f"a library's learning_rate must be above 0, not {self.learning_rate}")


@dataclass(frozen=True)
class LibraryFile(FromFile):
    """What ``library.json`` holds."""

    format: Literal[1]
    recipe: KeyRecipe


def as_json(recipe: KeyRecipe) -> dict[str, Any]:
    """What ``library.json`` holds."""
    said = asdict(recipe)
    if not recipe.chat_template:  # as it was before there were any
        del said["chat_template"]
    return {"format": _FORMAT, "recipe": said}


def read_recipe(folder: Path) -> KeyRecipe:
    """The recipe of a library's folder.

    Raises:
        UserError: it is no library, or of a later version, or its file is damaged.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        raise UserError(f"{folder} is no prompt library: it has no {FILE}")
    content = read_json(path, "copy it anew from where the library came from")
    if type(given := content.get("format")) is not int or given != _FORMAT:
        raise UserError(f'{path} must be a JSON object with "format": {_FORMAT}, as this version of mpt writes it')
    return checked(content, {}, str(path), LibraryFile).recipe
