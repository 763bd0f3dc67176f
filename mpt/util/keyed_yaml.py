"""Reading a YAML file key by key, so that every mistake in it is told by its file, its key and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mpt.util.errors import UserError
from mpt.util.names import nearest

_REQUIRED = object()

_KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping of keys to values",
}


class Keys:
    """A mapping of the file whose keys are taken one by one; what is left at the end is unknown.

    Args:
        content: what the file holds there.
        file: its name.
        key: where in the file, dotted; empty for the whole.

    Raises:
        UserError: that is no mapping.
    """

    def __init__(self, content: Any, file: str, key: str) -> None:
        self.file = file
        self.key = key
        self.where = f"{file}: {key}" if key else file
        if not isinstance(content, dict):
            raise UserError(f"{self.where} must be a mapping of keys to values, not {content!r}")
        self.left = {str(name): value for name, value in content.items()}
        self.known: list[str] = []

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of a key, of one kind."""
        self.known.append(name)
        value = self.left.pop(name, None)
        if value is None:
            if default is _REQUIRED:
                self.end_if_misspelt(name)
                raise UserError(f"{self.where}: the key {name} is missing")
            return default
        return self._typed(name, value, kind)

    def below(self, name: str, default: Any = _REQUIRED) -> Keys | None:
        """The mapping under a key; none if that is the default and the key is not there."""
        content = self.take(name, dict, default)
        return None if content is None else Keys(content, self.file, f"{self.key}.{name}" if self.key else name)

    def several(self, name: str, kind: type) -> tuple[Any, ...]:
        """The values of a list, each once; none if the key is not there."""
        return self.typed(name, self.take(name, list, []), kind)

    def typed(self, name: str, content: list[Any], kind: type) -> tuple[Any, ...]:
        """The values of a list, each of one kind and there once."""
        values = tuple(self._typed(name, value, kind) for value in content)
        if twice := [value for value in values if values.count(value) > 1]:
            raise UserError(f"{self.where}: {name} holds {twice[0]} twice")
        return values

    def _typed(self, name: str, value: Any, kind: type) -> Any:
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{self.where}: {name} must be {_KINDS[kind]}, not {value!r}")
        return value

    def end(self) -> None:
        """Complain of a key that nobody took."""
        if self.left:
            name = next(iter(self.left))
            raise UserError(f"{self.where}: unknown key {name}; {nearest(name, self.known)}")

    def end_if_misspelt(self, *missing: str) -> None:
        """Complain of a key that is like a missing one: "methds is unknown" helps more than "methods is missing"."""
        for name in self.left:
            if close := difflib.get_close_matches(name, missing, cutoff=0.7):
                raise UserError(f"{self.where}: unknown key {name}; did you mean {close[0]}?")


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by dotted name, whether the file nests them or writes the dots."""
    options: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict) and value:
            options |= flat(value, f"{prefix}{name}.")
        else:
            options[f"{prefix}{name}"] = value
    return options


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file holds, with ``${...}`` resolved.

    Args:
        what: what the file should be, for the complaint.

    Raises:
        UserError: it cannot be read, is not YAML, or refers to what is not there.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"{path} cannot be read as {what}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML: {getattr(error, 'problem', None) or error}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error
    except OSError as error:  # OmegaConf's word for a file that holds a bare text or number
        raise UserError(f"{path} must be a mapping of keys to values: {error}") from error
