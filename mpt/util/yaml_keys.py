"""A mapping of a YAML file, taken key by key, so that a value of the wrong kind is told by its key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Keys:
    """The values of a mapping by key, each of the kind that is asked for.

    Every method raises ValueError, with the dotted key and what would be right, for another kind.

    Args:
        content: what the file holds there.
        key: where in the file, dotted; empty for the whole.
        required: keys that must be there.
        optional: keys that may be there.

    Raises:
        ValueError: that is no mapping; a key is missing or unknown.
    """

    def __init__(self, content: Any, key: str, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        required = list(required)
        known = [*required, *optional]
        if not isinstance(content, dict):
            raise ValueError(
                f"{key or 'it'} must be a mapping with the keys {', '.join(required)}, not {shown(content)}"
            )
        if unknown := [name for name in content if name not in known]:
            name = unknown[0] if isinstance(unknown[0], str) else shown(unknown[0])
            raise ValueError(f"{key or 'it'} has the unknown key {name}; known are {', '.join(sorted(known))}")
        if missing := [name for name in required if name not in content]:
            raise ValueError(f"{key} has no key {missing[0]}" if key else f"the key {missing[0]} is missing")
        self._content = content
        self._key = key

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def __getitem__(self, name: str) -> Any:
        return self._content[name]

    def dotted(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        if default is not None and name not in self:
            return default
        return text(self[name], self.dotted(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of different ones."""
        if isinstance(self[name], list):
            return texts(self[name], self.dotted(name))
        return (text(self[name], self.dotted(name), "a text or a list of texts"),)

    def flag(self, name: str) -> bool:
        if not isinstance(value := self[name], bool):
            raise ValueError(f"{self.dotted(name)} is true or false, not {shown(value)}")
        return value

    def whole(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """A whole number in a range, whose ends are in it."""
        if name not in self:
            return default
        return whole(self[name], self.dotted(name), least, most)

    def number(self, name: str) -> float:
        if isinstance(value := self[name], bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{self.dotted(name)} must be a number, not {shown(value)}")
        return float(value)


def text(value: Any, key: str, wanted: str = "a text") -> str:
    """A value that must be a text and not empty; ValueError otherwise."""
    if isinstance(value, str):
        if not value:
            raise ValueError(f"{key} must not be empty")
        return value
    hint = ": put it in quotes" if isinstance(value, (bool, int, float)) else ""
    raise ValueError(f"{key} must be {wanted}, not {shown(value)}{hint}")


def texts(value: Any, key: str) -> tuple[str, ...]:
    """A value that must be a list of different texts, one at least; ValueError otherwise."""
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list of texts, not {shown(value)}")
    if not value:
        raise ValueError(f"{key} is an empty list; it must name one at least")
    several = tuple(text(one, f"each of {key}") for one in value)
    if twice := [one for one in several if several.count(one) > 1]:
        raise ValueError(f"{key} names {shown(twice[0])} twice")
    return several


def whole(value: Any, key: str, least: int, most: int | None = None) -> int:
    """A value that must be a whole number in a range; ValueError otherwise."""
    if type(value) is not int or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{key} must be a whole number {span}, not {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A value in a complaint: short, in one line, as the file has it."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:77]}...")
    return str(value)
