"""Values that a file gives: dataclasses whose annotations pydantic checks, with each mistake told in one sentence.

A check raises ``ValueError`` with what is to be read after the key: ``must be above 0`` becomes ``epochs must be above
0``. Words that begin with a colon, a comma or a full stop follow the key without a space; at the top of a file, where
there is no key, they stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import core_schema

from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.reading import read_text
from mpt.util.yaml_file import Lines, first_comment, read_yaml

_TOLD = {
    "string_type": "must be a text, not {given}{quotes}",
    "string_too_short": "must not be empty",
    "bool_type": "is true or false, not {given}",
    "int_type": "must be a whole number, not {given}",
    "float_type": "must be a number, not {given}",
    "dict_type": "must be a mapping of keys to values, not {given}",
    "mapping_type": "must be a mapping of keys to values, not {given}",
    "greater_than": "must be above {gt:g}, not {given}",
    "literal_error": "must be {expected}, not {given}",
}


STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""Of a dataclass that is read as it was written: every value of its kind, no key that it does not have."""


class FromFile:
    """Base of the dataclasses that are read from a mapping: every key is known, every value of its kind as it stands.

    Attributes:
        HIDDEN: fields that the file does not give, such as a name that is the file's own.
        MISPLACED: what to do in place of a key that is not known, where a name like it would not help.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    HIDDEN: ClassVar[tuple[str, ...]] = ()
    MISPLACED: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        """What a file's mapping, whose keys are known, is before its values are checked."""
        return content

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        inner = handler.resolve_ref_schema(handler(source))
        inner["strict"] = False  # else only an instance would do
        reference = inner.pop("ref")  # is the check's, which goes with every use of the dataclass
        fields = {
            one.get("validation_alias", one["name"]): one["schema"]["type"] != "default"
            for one in inner["schema"]["fields"]
            if one["name"] not in cls.HIDDEN
        }

        def check(value: Any, validate: Callable[[Any], Any]) -> Any:
            if isinstance(value, cls):
                return value
            if not isinstance(value, dict):
                keys = ", ".join([name for name, required in fields.items() if required] or fields)
                raise ValueError(f"must be a mapping with the keys {keys}, not {shown(value)}")
            for name in value:
                if name in cls.MISPLACED:
                    raise ValueError(f": {name} {cls.MISPLACED[name]}")
                if name not in fields:
                    word = name if isinstance(name, str) else shown(name)
                    raise ValueError(f"has the unknown key {word}; {nearest(word, fields)}")
            content = cls.prepared(value)
            return validate({**content, **getattr(value, "hidden", {})} if isinstance(content, dict) else content)

        return core_schema.no_info_wrap_validator_function(check, inner, ref=reference)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        reference = handler(schema)
        told = handler.resolve_ref_schema(reference)
        for name in cls.HIDDEN:
            told["properties"].pop(name, None)
            if name in told.get("required", ()):
                told["required"].remove(name)
        return reference


T = TypeVar("T", bound=FromFile)


class Given(dict[Any, Any]):
    """A file's mapping with values of hidden fields."""

    def __init__(self, content: Mapping[Any, Any], **hidden: Any) -> None:
        super().__init__(content)
        self.hidden = hidden


@dataclass(frozen=True, eq=False)
class Checked:
    """A check of a value, and what an editor is told of it; put it into ``Annotated``.

    Attributes:
        check: the value, from what the file holds and pydantic's own check of it.
        schema: replaces what JSON Schema says of it.
    """

    check: Callable[[Any, Callable[[Any], Any]], Any]
    schema: Mapping[str, Any] = field(default_factory=dict)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_wrap_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return dict(self.schema) if "type" in self.schema or "anyOf" in self.schema else handler(schema) | self.schema


def checking(complain: Callable[[Any], None]) -> Checked:
    """A check that raises ``ValueError`` for a value of the right kind that cannot be."""

    def check(value: Any, validate: Callable[[Any], Any]) -> Any:
        found = validate(value)
        complain(found)
        return found

    return Checked(check)


def one_of(words: Sequence[str]) -> Checked:
    """A check that a text is one of some words."""

    def check(value: Any, validate: Callable[[Any], Any]) -> Any:
        if (text := validate(value)) not in words:
            raise ValueError(f"is one of {', '.join(words)}, not {shown(text)}")
        return text

    return Checked(check, {"enum": list(words)})


def whole(least: int, most: int | None = None, word: str | None = None) -> Checked:
    """A whole number in a range, whose ends are in it, or a word in its place."""
    span = (f"of at least {least}" if most is None else f"from {least} to {most}") + (
        f", or the word {word}" if word else ""
    )

    def check(value: Any, validate: Callable[[Any], Any]) -> Any:
        wrong = type(value) is not int or value < least or (most is not None and value > most)
        if wrong and (word is None or value != word):
            raise ValueError(f"must be a whole number {span}, not {shown(value)}")
        return validate(value)

    number = {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})
    return Checked(check, number if word is None else {"anyOf": [number, {"const": word}]})


def listed(of: str, least: int = 1, distinct: bool = True) -> Checked:
    """A list of values, each another unless that does not matter.

    Args:
        of: what they are, in a complaint: ``texts``.
    """

    def check(value: Any, validate: Callable[[Any], Any]) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"must be a list of {of}, not {shown(value)}")
        if len(value) < least:
            raise ValueError("is empty; give at least one")
        several = validate(tuple(value))
        if twice := [one for one in several if distinct and several.count(one) > 1]:
            raise ValueError(f"names {shown(twice[0])} twice")
        return several

    return Checked(check, {"uniqueItems": distinct, "minItems": least})


Text = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""

Texts = Annotated[tuple[Text, ...], listed("texts")]
"""A list of different texts, one at least."""


@cache
def adapter(schema: Any) -> TypeAdapter[Any]:
    """Pydantic's checker of a dataclass, built once."""
    return TypeAdapter(schema)


def read_values(path: Path, kind: str, schema: type[T], **hidden: Any) -> T:
    """What a YAML file says, checked; ``about``, where there is such a field, is the comment that it begins with.

    Args:
        kind: of file, for a complaint: ``task file``.
        schema: a dataclass that is :class:`FromFile`.
        hidden: values of its fields that the file does not give.

    Raises:
        UserError: the file cannot be read, is not YAML, or has a wrong key or value; by file, line and key.
    """
    where = f"The {kind} {path}"
    text = read_text(path, kind)
    if "about" in schema.HIDDEN:
        hidden["about"] = first_comment(text)
    return checked(*read_yaml(text, where), where, schema, **hidden)


def checked(content: Any, lines: Lines, where: str, schema: type[T], **hidden: Any) -> T:
    """Content as a value of a dataclass.

    Args:
        lines: of its keys.
        where: the start of a complaint: ``The task file own.yaml``.

    Raises:
        UserError: a wrong key or value, by line and key.
    """
    try:
        kind: Any = schema
        found: T = adapter(kind).validate_python(Given(content, **hidden) if isinstance(content, dict) else content)
        return found
    except ValidationError as error:
        raise UserError(sentence(error, where, lines)) from None


def sentence(error: ValidationError, where: str, lines: Lines) -> str:
    """The first of pydantic's complaints as one sentence.

    Args:
        where: its start: ``The task file own.yaml``.
        lines: of the file's keys.
    """
    several = error.errors(include_url=False)
    first = several[0]
    place, given = list(first["loc"]), first["input"]
    if first["type"] == "missing":
        place.pop()
        names = [one["loc"][-1] for one in several if one["type"] == "missing" and one["loc"][:-1] == tuple(place)]
        told = f"has no {keys(names)}" if place else f"the {keys(names)} {'are' if names[1:] else 'is'} missing"
    elif first["type"] == "value_error":
        told = str(first["ctx"]["error"]).lstrip()
    else:
        told = _TOLD.get(first["type"], first["msg"][0].lower() + first["msg"][1:] + ", not {given}")
        told = told.format(given=shown(given), quotes=in_quotes(given), **first.get("ctx", {}))
    if place[-1:] == ["[key]"]:
        del place[-2:]
        told = f": the key {shown(given)} {told}"
    key = ".".join(str(part) for part in place if not isinstance(part, int) and part != "")
    if place and isinstance(place[-1], int):
        key = f"each of {key}"
    if key:
        told = key + told if told[0] in ":,." else f"{key} {told}"
    elif told[0] in ":,.":
        told = told.lstrip(":,. ")
    elif first["type"] != "missing":
        told = f"it {told}"
    ends = [tuple(place[:size]) for size in range(len(place), 0, -1)]
    line = next((f", line {lines[end]}" for end in ends if end in lines), "")
    return f"{where}{line}: {told}" + ("" if told[-1] in ".?" else ".")


def keys(names: Sequence[Any]) -> str:
    """Some keys in a sentence: ``key a``, ``keys a, b and c``."""
    *others, last = map(str, names)
    return f"keys {', '.join(others)} and {last}" if others else f"key {last}"


def as_text(value: Any, key: str) -> str:
    """A value that must be a text and not empty; ValueError otherwise, which begins with the key."""
    if isinstance(value, str) and value:
        return value
    raise ValueError(
        f"{key} must not be empty" if value == "" else f"{key} must be a text, not {shown(value)}{in_quotes(value)}"
    )


def in_quotes(value: Any) -> str:
    """The advice for a value that was meant as a text."""
    return ": put it in quotes" if isinstance(value, (bool, int, float)) else ""


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
