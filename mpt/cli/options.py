"""What all commands' options share. argparse, as jsonargparse alone takes longer to import than these commands."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mpt.util.errors import UserError
from mpt.util.names import hint, nearest

if TYPE_CHECKING:
    from mpt.data.tasks.task import Shots

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """Options in full, and a mistake told in one sentence with the nearest name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            groups = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))
            of_actions, action, word = next(groups, {}), getattr(options, "action", ""), rest[0].partition("=")[0]
            parser = of_actions.get(action, self)
            way = nearest(word, parser._option_string_actions) if word.startswith("-") else "see --help"
            if parser is not self and word in (*self._option_string_actions, *parser._option_string_actions):
                way = f"give it {'before' if word in self._option_string_actions else 'after'} {action}"
            elif owners := [one.prog for one in of_actions.values() if word in one._option_string_actions]:
                way = f"{' and '.join(owners)} {'has' if len(owners) == 1 else 'have'} it"
            parser.error(f"unrecognized arguments: {' '.join(rest)}; {way}")
        return options

    def error(self, message: str) -> NoReturn:
        if told := re.fullmatch(r"argument (-\S+): (must be .*|names .* twice)", message):  # of the types below
            raise UserError(f"{told[1]} {told[2]}")
        raise UserError(f"{self.prog}: {message}")


LARGEST = 2**31 - 1
"""Whole number of which there can be so many, or so long, of anything."""


def at_least(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """The type of an option that is a whole number from some number on, perhaps to another."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not {text}") from None
        if not least <= value <= most:
            span = f"at least {least}" if most == LARGEST and value < least else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {span}, not {value}")
        return value

    return whole


seed = at_least(0, 2**32 - 1)


def above_zero(text: str) -> float:
    """The type of an option that is a number above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text}") from None
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def shots(text: str) -> Shots:
    """The type of an option that is the size of a few-shot draw."""
    if text == "all":
        return "all"
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is neither a number of at least 1 nor the word all")
    return int(text)


class Distinct(argparse.Action):
    """Stores a list that names nothing twice."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if twice := [value for value in values if values.count(value) > 1]:
            raise argparse.ArgumentError(self, f"names {twice[0]} twice")
        setattr(namespace, self.dest, values)


def part(kind: type[T], options: argparse.Namespace) -> T:
    """A dataclass whose fields are options of the same names, as far as there are such; lists become tuples."""
    given = {name: value for name, value in vars(options).items() if name in {one.name for one in fields(kind)}}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def add_model(parser: argparse._ArgumentGroup) -> None:
    """How much a backbone reads, and where: as commands have it that learn prompts side by side."""
    parser.add_argument(
        "--max-input-length", type=at_least(1), default=512, help="tokens read of an input (default: 512)"
    )
    parser.add_argument("--max-target-length", type=at_least(1), default=64, help="tokens of an output (default: 64)")
    told = "inputs are turns of a user, as the tokenizer's chat template writes them"
    parser.add_argument("--chat-template", action="store_true", help=told)
    add_arithmetic(parser)


def add_arithmetic(parser: argparse._ArgumentGroup) -> None:
    """In which types a backbone works, and where."""
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the backbone's weights")
    told = "of the arithmetic; bf16-mixed takes half of the time where a CPU knows it (default: 32)"
    parser.add_argument("--precision", default="32", choices=("32", "bf16-mixed"), help=told)
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: a GPU if there is one)")


def add_workers(parser: argparse.ArgumentParser, default: str = "the file's, else one a GPU or core") -> None:
    """``--workers``, as every command has it that starts processes."""
    parser.add_argument("--workers", type=at_least(1), metavar="N", help=f"processes (default: {default})")


def run_action(
    command: str, usage: str, actions: Mapping[str, Callable[[list[str]], None]], arguments: list[str]
) -> None:
    """Do the action that the first word names, or print the usage if there is none."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if word in ("-h", "--help", "help"):
        print(usage, end="")
        return
    if word not in actions:
        known = (" and " if len(actions) == 2 else ", ").join(actions)
        raise UserError(f"mpt {command} {word}: mpt {command} knows {known}{hint(word, actions)}")
    actions[word](rest)
