"""The functions of :mod:`mpt.data.catalogue.rows` as a catalogue file names them, with options that they take."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from mpt.data.catalogue import rows
from mpt.data.catalogue.template import Row
from mpt.util.schema import shown


@dataclass(frozen=True)
class Step:
    """Something that is done to the rows.

    Attributes:
        function: as ``module.function`` of :mod:`mpt.data.catalogue.rows`.
        options: its keyword arguments.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


@cache
def row_function(name: str) -> Callable[..., Iterator[Row]]:
    """A row function by ``module.function``.

    It is public, defined in that module, and takes ``rows`` first.

    Raises:
        ValueError: there is none of that name; says which there are.
    """
    module, _, function = name.partition(".")
    modules = sorted(found.name for found in pkgutil.iter_modules(rows.__path__))
    if module not in modules:
        raise ValueError(f"there is no row function {name!r}; it is module.function, of {', '.join(modules)}")
    known = _functions(module)
    if function not in known:
        raise ValueError(f"there is no row function {name!r}; {module} has {', '.join(known)}")
    return known[function]


def check_options(step: Step) -> None:
    """Complain of options that a step's function cannot take.

    Raises:
        ValueError: an unknown option, a missing one, or one of another kind than its type says.
    """
    kinds = _options(step.function)
    parameters = inspect.signature(row_function(step.function)).parameters
    if unknown := [name for name in step.options if name not in kinds]:
        raise ValueError(f"{step.function} has no option {unknown[0]}; its options are {', '.join(kinds)}")
    for name, kind in kinds.items():
        if name in step.options:
            if not _fits(step.options[name], kind):
                raise ValueError(f"{step.function}: {name} must be {_said(kind)}, not {shown(step.options[name])}")
        elif parameters[name].default is inspect.Parameter.empty:
            raise ValueError(f"{step.function} needs the option {name}")


@cache
def _functions(module: str) -> dict[str, Callable[..., Iterator[Row]]]:
    content = importlib.import_module(f"{rows.__name__}.{module}")
    return {
        name: function
        for name, function in sorted(vars(content).items())
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__ == content.__name__
        and next(iter(inspect.signature(function).parameters), "") == "rows"
    }


@cache
def _options(function: str) -> dict[str, Any]:
    """The type of each option."""
    hints = get_type_hints(row_function(function))
    return {name: hint for name, hint in hints.items() if name not in ("rows", "return")}


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of a YAML file is of a parameter's type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is float:
        return type(value) in (int, float)
    if origin is None:
        return type(value) is kind
    if issubclass(origin, Mapping):
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    return isinstance(value, list) and all(_fits(one, inner[0]) for one in value)


def _said(kind: Any, many: bool = False) -> str:
    """A parameter's type in a user's words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_said(one, many) for one in inner)
    if origin is None:
        one, several = _WORDS[kind]
        return several if many else one
    if issubclass(origin, Mapping):
        return f"{'mappings' if many else 'a mapping'} of {_said(inner[0], True)} to {_said(inner[1], True)}"
    return f"{'lists' if many else 'a list'} of {_said(inner[0], True)}"


_WORDS: dict[Any, tuple[str, str]] = {
    str: ("a text (in quotes, if it looks like a number)", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    Any: ("a value", "values"),
}
