"""The text of an example as a template over the columns of a source's row."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mpt.data.catalogue.filters import LIST_FILTERS, TEXT_FILTERS

Row = Mapping[str, Any]
"""A record of a source by column, as Parquet or JSON give it."""

_FIELD = re.compile(r"(?P<column>[^\[\].!]+)(?P<keys>(\[[^\[\]]+\])*)")


@dataclass(frozen=True)
class Field:
    """A place in a template: ``{question[stem]:strip}`` is column ``question``, key ``stem``, filter ``strip``."""

    column: str
    keys: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Field:
        """From ``question[stem]:strip``; raises ValueError for a name or a filter that cannot be."""
        name, _, spec = text.partition(":")
        match = _FIELD.fullmatch(name)
        if match is None:
            raise ValueError(f"{{{name}}} is not a column, or a column and keys in square brackets")
        filters = tuple(spec.split("|")) if spec else ()
        for filter in filters:
            if filter not in TEXT_FILTERS and filter not in LIST_FILTERS:
                known = ", ".join(sorted([*TEXT_FILTERS, *LIST_FILTERS]))
                raise ValueError(f"{{{text}}} has the unknown filter {filter}; known are {known}")
        return cls(match["column"], tuple(re.findall(r"\[([^\[\]]+)\]", match["keys"])), filters)

    def text(self, row: Row) -> Any:
        """A text, or a list of texts, of which a null is an empty one, as sources that went through CSV have it.

        Raises KeyError, IndexError, TypeError or ValueError where the row has none.
        """
        value = _without_null(self._found(row))
        for filter in self.filters:
            if filter in LIST_FILTERS:
                value = LIST_FILTERS[filter](value)
            elif isinstance(value, (list, tuple)):
                value = [TEXT_FILTERS[filter](one) for one in value]
            else:
                value = TEXT_FILTERS[filter](value)
        return value

    def value(self, row: Row) -> Any:
        """The same of what may be no text, as a number or a key, where nothing can stand for a null: ValueError."""
        if self._found(row) is None:
            raise ValueError(f"{self.column} is null")
        return self.text(row)

    def _found(self, row: Row) -> Any:
        value = row[self.column]
        for key in self.keys:
            value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
        return value


@dataclass(frozen=True)
class Template:
    """Literal text and fields, one after the other: ``premise: {premise} [SEP] hypothesis: {hypothesis}``."""

    text: str
    parts: tuple[str | Field, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Raises ValueError, with what is wrong, for a text that is no template."""
        parts: list[str | Field] = []
        for literal, name, spec, conversion in string.Formatter().parse(text):
            if literal:
                parts.append(literal)
            if name is not None:
                if conversion:
                    raise ValueError(f"{{{name}!{conversion}}}: conversions are not known here, filters follow a colon")
                parts.append(Field.of(f"{name}:{spec}" if spec else name))
        return cls(text, tuple(parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it takes, each once."""
        return tuple(dict.fromkeys(part.column for part in self.parts if isinstance(part, Field)))

    def render(self, row: Row) -> str:
        """The text for a row; raises what :meth:`Field.text` does, and ValueError for a list."""
        texts = []
        for part in self.parts:
            value = part.text(row) if isinstance(part, Field) else part
            if isinstance(value, (list, tuple, dict)):
                raise ValueError(f"{part.column} is a {type(value).__name__}, not a text")  # type: ignore[union-attr]
            texts.append(str(value))
        return "".join(texts)

    def render_all(self, row: Row) -> list[str]:
        """The texts for a row: several where the template is one field and its value a list."""
        if len(self.parts) == 1 and isinstance(field := self.parts[0], Field):
            value = field.text(row)
            if isinstance(value, (list, tuple)):
                return [str(one) for one in value]
        return [self.render(row)]


def _without_null(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_without_null(one) for one in value]
    return "" if value is None else value
