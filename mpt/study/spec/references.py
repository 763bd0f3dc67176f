"""References of a study's file to its own keys, ``${variables.steps}``, which can double with each step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mpt.util.errors import UserError

_REFERENCE = re.compile(r"\$\{([\w.-]+)\}")
_LONGEST, _DEEPEST = 1_000_000, 50


def refuse_growth(content: Any, where: str) -> None:
    """Refuse a file whose texts would be longer than any can sensibly be, before they are made.

    Args:
        content: of the file, unresolved.
        where: what to name in a complaint.

    Raises:
        UserError: a text grows to more than a million signs, or refers through fifty others.
    """
    texts = dict(_texts("", content))
    sizes: dict[str, int] = {}

    def size(path: str, depth: int) -> int:
        if depth > _DEEPEST:
            raise UserError(f"{where}: {path} is reached through more than {_DEEPEST} references; write it out.")
        if path not in sizes:
            if path in texts:
                text = texts[path]
                sizes[path] = len(text) + sum(size(name, depth + 1) for name in _REFERENCE.findall(text))
            else:  # a list or mapping
                sizes[path] = sum(size(one, depth + 1) for one in texts if one.startswith(f"{path}."))
        if sizes[path] > _LONGEST:
            raise UserError(f"{where}: by its references {path} grows to more than {_LONGEST:,} signs.")
        return sizes[path]

    for path in texts:
        size(path, 0)


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(f"{path}.{key}" if path else str(key), part)
    elif isinstance(value, str):
        yield path, value
