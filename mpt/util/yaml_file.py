"""YAML read strictly: no key twice, no dates, no tags, so that what a file seems to say is what it says.

YAML's usual readers let the last of two equal keys win, make a date of ``2020-01-01``, 11 of ``013`` and an error in
Python's words of ``2020-02-31``, and fall over thousands of open brackets. Here the text's events are put together one
by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from mpt.util.errors import UserError
from mpt.util.reading import DEEPEST

_LONGEST_NUMBER = 100
_MOST = 100_000
"""Values in a file, those that its aliases stand for among them."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast

_CONSTRUCTOR: Any = SafeConstructor()
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, Callable[[Any], Any]] = {
    f"{_TAG}null": lambda node: None,
    f"{_TAG}bool": _CONSTRUCTOR.construct_yaml_bool,
    f"{_TAG}int": _CONSTRUCTOR.construct_yaml_int,
    f"{_TAG}float": _CONSTRUCTOR.construct_yaml_float,
}
"""What a word without quotes may stand for besides a text. Dates are texts."""

_POWER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
"""A number to every reader but YAML 1.1's, which wants the point and the sign of ``1.0e-5``."""

_ZERO = re.compile(r"[-+]?0[0-9_]+")
"""A number to the base of 8 in YAML 1.1, as ``1:30`` is one to the base of 60; hardly anybody means them."""

Lines = Mapping[tuple[Any, ...], int]
"""The line of each key, by the keys and numbers of list items that lead to it."""

_SUFFIXES = (".yaml", ".yml")


def is_yaml(name: str | Path) -> bool:
    """Whether a name is that of a YAML file, by its suffix."""
    return Path(name).suffix in _SUFFIXES


def called(name: str) -> str:
    """What goes by the name of its YAML file, without folder and suffix; any other name as it is."""
    return Path(name).stem if is_yaml(name) else name


def first_comment(text: str) -> str:
    """The comment that a file begins with, of its first line and those that a comma leads on to: what the file is."""
    about = ""
    for line in text.split("\n"):
        if not line.startswith("#") or (about and not about.endswith(",")):
            break
        about = f"{about} {line.removeprefix('#').strip()}".strip()
    return about


def parse_yaml(text: str, where: str, merges: bool = False) -> Any:
    """What a YAML text holds, as :func:`read_yaml` reads it."""
    return read_yaml(text, where, merges)[0]


def read_yaml(text: str, where: str, merges: bool = False, powers: bool = True) -> tuple[Any, Lines]:
    """What a YAML text holds: texts, numbers, true and false, None, and lists and mappings of them; and its lines.

    Args:
        where: the start of a complaint: ``The task file own.yaml``.
        merges: take ``<<: *anchor``, the keys of another mapping below a mapping's own.
        powers: read ``1e-5`` as a number.

    Raises:
        UserError: no YAML; a key that is there twice, a tag, a second document; by line and key.
    """
    reader = _Reader(text, merges, powers)
    try:
        return reader.document(), reader.lines
    except _Mistake as mistake:
        raise UserError(f"{where}, line {mistake.line}: {mistake}.") from None
    except yaml.reader.ReaderError as error:
        character: Any = error.character
        code = character if isinstance(character, int) else ord(character[:1] or "\0")
        raise UserError(f"{where} is not YAML: it holds the character U+{code:04X}, which must not be there.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{where}{line} is not YAML: {problem}.") from None


class _Mistake(Exception):
    def __init__(self, event: yaml.Event, message: str) -> None:
        super().__init__(message)
        mark: Any = event.start_mark
        self.line: int = mark.line + 1


class _Reader:
    def __init__(self, text: str, merges: bool, powers: bool) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, _Loader))
        self._anchors: dict[str, Any] = {}
        self._held: dict[str, tuple[int, int]] = {}  # by anchor: values, and how deep they lie in each other
        self._values = self._height = 0
        self._merges, self._powers = merges, powers
        self.lines: dict[tuple[Any, ...], int] = {}

    def document(self) -> Any:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        content = self._value(next(self._events), ())
        next(self._events)  # the end of the document
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise _Mistake(event, "a second document begins here, and a file holds one")
        return content

    def _value(self, event: Any, place: tuple[Any, ...], depth: int = 0) -> Any:
        """The value that begins with an event.

        Args:
            place: the keys and numbers of list items that lead to it.
            depth: how many lists and mappings it is in.
        """
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                told = f"*{event.anchor} stands for nothing: no &{event.anchor} ends before it"
                raise _Mistake(event, _at(place) + told)
            values, height = self._held[event.anchor]
            self._count(event, place, depth + height, values)
            self._height = max(self._height, height + 1)
            return self._anchors[event.anchor]
        if event.tag is not None:
            tag = event.tag.replace(_TAG, "!!")
            raise _Mistake(event, f"{_at(place)}the tag {tag} must not be there; put a text in quotes")
        before, around = self._values, self._height
        self._height = 0
        self._count(event, place, depth)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._plain(event, place) if event.implicit[0] else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                value.append(self._value(item, (*place, len(value)), depth + 1))
        else:
            value = self._mapping(place, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
            self._held[event.anchor] = self._values - before, self._height
        self._height = max(around, self._height + 1)
        return value

    def _count(self, event: Any, place: tuple[Any, ...], depth: int, values: int = 1) -> None:
        """Refuse what whoever goes through the values would not come to the end of."""
        if depth >= DEEPEST:
            raise _Mistake(event, f"{_at(place)}lists and mappings lie in each other more than {DEEPEST} deep")
        self._values += values
        if self._values > _MOST:
            raise _Mistake(event, f"{_at(place)}the file holds more than {_MOST:,} values, with those of its aliases")

    def _mapping(self, place: tuple[Any, ...], depth: int) -> dict[Any, Any]:
        content: dict[Any, Any] = {}
        below: dict[Any, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if self._merges and isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                below |= self._merged(next(self._events), place, depth)
                continue
            name = self._value(event, place, depth + 1)
            if isinstance(name, (list, dict)):
                raise _Mistake(event, f"{_at(place)}a key must be a text, not a list or a mapping")
            own = (*place, name)
            if name in content:
                word = name if isinstance(name, str) else getattr(event, "value", "") or "without a name"
                raise _Mistake(
                    event,
                    f"the key {_dotted((*place, word))} stands in line {self.lines[own]} already; keep one of them",
                )
            self.lines[own] = event.start_mark.line + 1
            content[name] = self._value(next(self._events), own, depth + 1)
        return {name: value for name, value in below.items() if name not in content} | content

    def _merged(self, event: Any, place: tuple[Any, ...], depth: int) -> dict[Any, Any]:
        given = self._value(event, place, depth + 1)
        found: dict[Any, Any] = {}
        for part in reversed(given) if isinstance(given, list) else [given]:
            if not isinstance(part, dict):
                raise _Mistake(event, f"{_at(place)}<< takes over the keys of a mapping, or of several in a list")
            found |= part
        return found

    def _plain(self, event: Any, place: tuple[Any, ...]) -> Any:
        """What a word without quotes stands for."""
        text: str = event.value
        for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
            if pattern.match(text):
                if tag == f"{_TAG}merge":
                    raise _Mistake(event, f"{_at(place)}the key << must not be there; write out what it stands for")
                if tag not in _KINDS:
                    return text
                try:
                    if len(text) > _LONGEST_NUMBER:
                        raise ValueError
                    value = _KINDS[tag](yaml.ScalarNode(tag, text))
                except ValueError:
                    told = f"{text[:30]!r} is no number; put it in quotes if it is a text"
                    raise _Mistake(event, _at(place) + told) from None
                other = ":" in text or (_ZERO.fullmatch(text) and value != int(text.replace("_", "")))
                if isinstance(value, (int, float)) and other:
                    told = f"{text!r} would be {value}; write that number, or put a text in quotes"
                    raise _Mistake(event, _at(place) + told)
                return value
        return float(text) if self._powers and _POWER.fullmatch(text) else text


def _dotted(place: tuple[Any, ...]) -> str:
    """The keys that lead somewhere; the numbers of list items are left out."""
    return ".".join(str(part) for part in place if not isinstance(part, int) or isinstance(part, bool))


def _at(place: tuple[Any, ...]) -> str:
    return f"{dotted}: " if (dotted := _dotted(place)) else ""
