"""What all commands' options share. argparse, as jsonargparse alone takes longer to import than these commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from mpt.util.errors import UserError
from mpt.util.names import nearest


class Parser(argparse.ArgumentParser):
    """Options in full, and a mistake told in one sentence with the nearest name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            word = message.split()[2].partition("=")[0]
            hint = nearest(word, set(self.names())) if word.startswith("-") else "see --help"
            raise UserError(f"{self.prog}: {message}; {hint}")
        if message.startswith("argument -") and ": must be " in message:  # of `at_least`
            raise UserError(message.removeprefix("argument ").replace(": must", " must", 1))
        raise UserError(f"{self.prog}: {message}")

    def names(self) -> Iterator[str]:
        """The options, those of actions too."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser.names()


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from some number on."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not {text}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    return whole


def add_workers(parser: argparse.ArgumentParser, default: str = "the file's, else one a GPU or core") -> None:
    """``--workers``, as every command has it that starts processes."""
    parser.add_argument("--workers", type=at_least(1), metavar="N", help=f"processes (default: {default})")


def run_action(
    command: str, usage: str, actions: Mapping[str, Callable[[list[str]], None]], arguments: list[str]
) -> None:
    """Do the action that the first word names, or print the usage if there is none.

    Raises:
        UserError: there is no such action.
    """
    word, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if word in ("-h", "--help", "help"):
        print(usage, end="")
        return
    if word not in actions:
        known = (" and " if len(actions) == 2 else ", ").join(actions)
        near = nearest(word, actions)
        hint = f"; {near}" if near.startswith("did you mean") else ""
        raise UserError(f"mpt {command} {word}: mpt {command} knows {known}{hint}")
    actions[word](rest)
