"""Which words of a command line are texts as they stand, whatever YAML would make of them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence

from mpt.fit.classes import pairs, reached, types_of
from mpt.record.options import plain


def texts(words: Sequence[str]) -> Iterator[str]:
    """The values given for texts by name, as by ``--model.init.text.emo "Which: happy, sad?"``, and for options that
    take one text as well: jsonargparse would read ``{"Which": "happy, sad?"}``.

    Args:
        words: the command line after the command's name.
    """
    for word, after in pairs(words):
        name, equals, value = word.partition("=")
        value = value if equals else after
        group, *inside = plain(name.removeprefix("--")).split(".")
        one_of_several = any(map(_by_name, _types(group, inside[:-1])))
        alone = any(_by_name(hint) and str in typing.get_args(hint) for hint in _types(group, inside))
        if one_of_several or (alone and not value.lstrip().startswith("{")):
            yield value


def _types(group: str, inside: Sequence[str]) -> list[object]:
    """The types that an option has in the classes that may have it."""
    return [types_of(kind).get(inside[-1]) for kind in reached(group, inside[:-1], ())] if inside else []


def _by_name(hint: object) -> bool:
    return dict[str, str] in (hint, *typing.get_args(hint))
