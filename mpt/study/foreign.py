"""Whether a run's options name classes of other packages, so that a plan, which only looks, does not run them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mpt.configs import find_config
from mpt.errors import UserError

_KNOWN = ("mpt.", "torch.optim.", "pytorch_lightning.", "transformers.")
_DOTTED = re.compile(r"([A-Za-z_]\w*)(\.[A-Za-z_]\w*)+")
_LARGEST = 1 << 20
"""Bytes of a file that may be a part of a config."""


def foreign(words: Sequence[str]) -> str | None:
    """The first name in a run's words or configs that can be imported and is none of mpt or of the libraries it is
    made of; none if there is none.

    Nothing is imported for this, and no class made.

    Args:
        words: ``--option=value`` each.
    """
    for word in words:
        option, _, value = word.partition("=")
        here = Path()
        if option == "--config":
            try:
                path = find_config(value)
            except UserError:
                continue  # whoever parses it says so
            value, here = str(path), path.parent
        for text in _texts(_parsed(value), here, set()):
            dotted = _DOTTED.fullmatch(text)
            if dotted and not text.startswith(_KNOWN) and find_spec(dotted[1]) is not None:
                return text
    return None


def _texts(content: Any, here: Path, seen: set[Path]) -> Iterator[str]:
    """All texts in a value, also in files that it names: jsonargparse takes a file's content for a part of a config."""
    if isinstance(content, dict):
        for value in content.values():
            yield from _texts(value, here, seen)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value, here, seen)
    elif isinstance(content, str):
        yield content
        for path in (Path(content), here / content):
            if path not in seen and _is_small_file(path):
                seen.add(path)
                text = path.read_text(encoding="utf-8", errors="replace")
                yield from _texts(_parsed(text), path.parent, seen)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _is_small_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _LARGEST
    except (OSError, ValueError):  # no name for a file
        return False
