"""Classes that once had another path: configs, command lines and runs from before still name them so."""

from __future__ import annotations

import re
from typing import Any

_NOW = {
    r"mpt\.initialisers\.Retrieved": "mpt.library.retrieved.Retrieved",
    r"mpt\.initialisers\.(\w+)": r"mpt.prompt.initialisers.\1",
    r"mpt\.data\.modules\.(examples\.)?FewShotData": "mpt.data.modules.few_shot.FewShotData",
    r"mpt\.data\.modules\.(examples\.)?MixtureData": "mpt.data.modules.mixture.MixtureData",
    r"mpt\.data\.(episodes|corpus)\.(\w+)": r"mpt.data.modules.\1.\2",
    r"mpt\.tracking\.(\w+)": r"mpt.callbacks.tracker.\1",
}


def renamed(value: Any) -> Any:
    """A part of a config in which every class has today's path."""
    if isinstance(value, dict):
        return {name: renamed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [renamed(part) for part in value]
    if isinstance(value, str) and value.startswith("mpt."):
        for before, now in _NOW.items():
            if found := re.fullmatch(before, value):
                return found.expand(now)
    return value
