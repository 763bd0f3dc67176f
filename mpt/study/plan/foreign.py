"""Whether a run's options name classes of other packages, so that a plan, which only looks, does not run them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mpt.fit.configs import find_config
from mpt.util.errors import UserError

_KNOWN = ("mpt.", "torch.optim.", "pytorch_lightning.", "transformers.")
_LARGEST = 1 << 20
"""Bytes of a file that is looked at as a part of a config; a larger one is counted as foreign."""
_PLACES = ("dir", "file", "path")


class _Unknown(Exception):
    """What a file holds cannot be told."""


def foreign(words: Sequence[str]) -> str | None:
    """The first name in a run's words or configs that can be imported and is none of mpt or of the libraries it is
    made of; none if there is none. A config that cannot be looked through counts as such a name.

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
        try:
            for text in _texts(_parsed(value), here, set()):
                first, *more = text.split(".")
                dotted = more and all(part.isidentifier() for part in (first, *more))
                if dotted and not text.startswith(_KNOWN) and find_spec(first) is not None:
                    return text
        except _Unknown as unknown:
            return str(unknown)
    return None


def writer_elsewhere(content: Any) -> str | None:
    """The first class of other packages in a part of a parsed config that is given a place for files of its own, as
    checkpoints and profiles have one; none if there is none.
    """
    if isinstance(content, list):
        return next((name for part in content if (name := writer_elsewhere(part)) is not None), None)
    if not isinstance(content, dict):
        return None
    name, options = str(content.get("class_path", "mpt.")), content.get("init_args") or {}
    places = (option for option, value in options.items() if value and any(kind in option for kind in _PLACES))
    if not name.startswith("mpt.") and next(places, None):
        return name
    return writer_elsewhere(list(content.values()))


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
        for path in (Path(content), here / content, Path(os.path.expanduser(content))):
            if path not in seen and _is_part(path):
                seen.add(path)
                text = path.read_text(encoding="utf-8", errors="replace")
                yield from _texts(_parsed(text), path.parent, seen)


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # no dates and numbers, which may be wrong
    except yaml.YAMLError:
        return None  # nor can whoever parses it
    except RecursionError:
        raise _Unknown(f"{text[:20]} …") from None


def _is_part(path: Path) -> bool:
    try:
        is_file = path.is_file()
        if is_file and path.stat().st_size > _LARGEST:
            raise _Unknown(path)
        return is_file
    except (OSError, ValueError):  # no name for a file
        return False
