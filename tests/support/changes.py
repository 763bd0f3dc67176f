"""Studies and texts with a part changed; a change that would do nothing is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REMOVED = object()


def changed(values: Mapping[str, Any], changes: Mapping[str | tuple[str, ...], Any]) -> dict[str, Any]:
    """A copy with other values at some paths, as of ``("overrides", "trainer.logger")``: keys hold dots themselves.

    A key that is new comes last, and ``REMOVED`` takes one away. KeyError where what a path goes through is not there,
    or what is taken away.
    """
    made = _copy(values)
    for path, value in changes.items():
        *above, key = [path] if isinstance(path, str) else path
        place = made
        for name in above:
            place = place[name]
        if value is REMOVED:
            del place[key]
        else:
            place[key] = _copy(value)
    return made


def _copy(value: Any) -> Any:
    """Nothing is shared in it, so that a change is of one place."""
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value


def changed_file(file: Path, changes: Mapping[str | tuple[str, ...], Any], to: Path | None = None) -> Path:
    """A YAML file with other values at some paths, in its place or in another."""
    return write_yaml(to or file, changed(yaml.safe_load(file.read_text(encoding="utf-8")), changes))


def write_yaml(path: Path, values: Mapping[str, Any]) -> Path:
    """Keys in their order, and no anchors."""
    path.write_text(yaml.safe_dump(_copy(values), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def replaced(text: str, *pairs: str, count: int = -1) -> str:
    """The text with each ``old, new`` of the pairs put in; ValueError where an old one is not there."""
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        if old not in text:
            raise ValueError(f"nothing to replace: {old!r} is not in {text!r}")
        text = text.replace(old, new, count)
    return text


def replaced_in(path: Path, *pairs: str, to: Path | None = None, count: int = -1) -> Path:
    """A text file with parts replaced, in its place or in another."""
    to = to or path
    to.write_text(replaced(path.read_text(encoding="utf-8"), *pairs, count=count), encoding="utf-8")
    return to
