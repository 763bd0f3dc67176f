"""What a run's configuration says, option by option: its config file, and over it what is given beside that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mpt.util.yaml_file import parse_yaml

if TYPE_CHECKING:
    from typing_extensions import Self


class RunOptions:
    """The options given for a run, by dotted name: ``model.prompt_length``, ``trainer.logger.project``.

    A class's option has the same name whether ``init_args`` is spelt out or not, in a file and beside it; a class
    itself stands under the option that it is given for (``model``, ``model.init``), by its name or path.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def said(self, name: str) -> Any:
        """The value given for an option; None if its class's default applies."""
        return self.given.get(name)

    def class_name(self, name: str) -> str:
        """The name of the class given for an option, without its module; empty if none is."""
        value = self.said(name)
        return value.rpartition(".")[2] if isinstance(value, str) else ""

    def callback(self, name: str) -> Self | None:
        """What is said of the first callback of a class, under ``callback``; None if there is none."""
        return next(self.callbacks(name), None)

    def callbacks(self, name: str) -> Iterator[Self]:
        """What is said of each callback of a class, under ``callback``."""
        parts = self.said("trainer.callbacks")
        for part in parts if isinstance(parts, list) else [parts]:
            own = type(self)(dict(_flat("callback", part)))
            if own.class_name("callback") == name:
                yield own


def said_in(text: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a config's text and the options over it say, for :class:`RunOptions`.

    Args:
        text: YAML.
        options: by dotted name; later ones go over earlier ones, and a name that ends in ``+`` adds to a list.
    """
    given = dict(_content(text))
    for option, value in (options or {}).items():
        name = plain(option.removesuffix("+"))
        if option.endswith("+"):
            before = given.get(name) or []
            value = [*(before if isinstance(before, list) else [before]), value]
        if value is None or isinstance(value, bool):  # no class any more that the rest could belong to
            given = {other: kept for other, kept in given.items() if not other.startswith(f"{name}.")}
        given.update(_flat(name, value))
    return given


@cache
def plain(name: str) -> str:
    """An option's name without the words that a class's options may stand under.

    >>> plain("model.init_args.init.class_path")
    'model.init'
    """
    return ".".join(part for part in name.split(".") if part not in ("init_args", "class_path"))


def as_words(options: Mapping[str, Any]) -> list[str]:
    """Options as a command line has them."""
    return [f"--{name}={as_word(value)}" for name, value in options.items()]


def as_word(value: Any) -> str:
    """An option's value as a command line has it."""
    return value if isinstance(value, str) else json.dumps(value)


def from_words(words: Iterable[str]) -> dict[str, str]:
    """The options among the words of a command line, each as it is written there.

    >>> from_words(["fit", *as_words({"model.prompt_length": 20})])
    {'model.prompt_length': '20'}
    """
    return dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)


@cache  # a study asks the same of a config for thousands of runs
def _content(text: str) -> Mapping[str, Any]:
    return dict(_flat("", parse_yaml(text, "The config", merges=True)))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(plain(f"{name}.{key}") if name else str(key), part)
    elif name:
        yield name, value
