"""Prompts that are made of parts: rows of one table, each part by its name; joined, any of them are a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpt.prompt.files import StoredPrompt, load_prompt
from mpt.util.errors import UserError

PARTS = "parts"
"""Fact of a prompt's ``mpt.json``: name of a part to its first row and the row behind its last."""


def laid_out(lengths: Mapping[str, int]) -> dict[str, list[int]]:
    """Where parts lie that stand behind each other.

    >>> laid_out({"language/en": 2, "task/prefix-lm": 3})
    {'language/en': [0, 2], 'task/prefix-lm': [2, 5]}
    """
    places, first = {}, 0
    for name, length in lengths.items():
        places[name] = [first, first + length]
        first += length
    return places


def load_parts(folder: Path | str, names: Sequence[str]) -> tuple[Tensor, StoredPrompt]:
    """Some parts of a stored prompt, joined in the order of their names, ``[P, H]``, and the prompt.

    Raises:
        UserError: no such prompt; it has no parts, or none of a name.
    """
    if not names:
        raise UserError(f"no part of the prompt {folder} is named; name one or more")
    stored = load_prompt(folder)
    places = _places(stored.facts.get(PARTS), len(stored.weight))
    if places is None:
        raise UserError(f"prompt {folder} has no parts; those of FactorisedPromptTuning have")
    if wrong := [name for name in names if name not in places]:
        raise UserError(f"prompt {folder} has no part {wrong[0]}; it has {', '.join(places)}")
    return torch.cat([stored.weight[slice(*places[name])] for name in names]), stored


def _places(said: Any, rows: int) -> dict[str, tuple[int, int]] | None:
    """What a prompt's facts say of its parts, if that can be."""
    if not isinstance(said, dict) or not said:
        return None
    places = {}
    for name, place in said.items():
        if not (isinstance(place, list) and [type(row) for row in place] == [int, int]):
            return None
        if not 0 <= place[0] < place[1] <= rows:
            return None
        places[name] = (place[0], place[1])
    return places
