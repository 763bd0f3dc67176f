"""A prompt's files as others may see them: without paths of the machine they were written on."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mpt.util.reading import read_json

_MODELS = ("base_model_name_or_path", "backbone", "recycled_from")
"""Keys by which the JSON files of prompts and libraries name a model, which may be a folder."""


def published(path: Path) -> bytes:
    """A file's bytes; of a JSON file in which a model is a whole path, with that path's last part in its place.

    The fingerprint beside it tells which model is meant.

    Raises:
        UserError: the JSON file cannot be read.
    """
    if path.suffix != ".json":
        return path.read_bytes()
    content = read_json(path)
    if (shown := _shown(content)) == content:
        return path.read_bytes()
    return (json.dumps(shown, indent=2, ensure_ascii=False) + "\n").encode()


def _shown(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    return {key: last_part(value) if key in _MODELS else _shown(value) for key, value in content.items()}


def last_part(name: Any) -> Any:
    """The last part of a whole path, or of one that begins at a home; anything else as it is."""
    if not isinstance(name, str):
        return name
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(name).is_absolute() or name.startswith("~"):
            return kind(name).name or name
    return name
