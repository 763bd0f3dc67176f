"""The end of a sentence about an unknown name: did you mean one of these?"""

import difflib
from collections.abc import Iterable, Sequence

from mpt.util.errors import UserError


def printable(text: str) -> str:
    """A text in one line, in which what a terminal would obey or could not show is written as Python writes it.

    >>> printable("red\\x1b[31m\\nalert")
    'red\\\\x1b[31m\\\\nalert'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def refuse_unwritable(words: Sequence[str]) -> None:
    """Refuse words of a command line that are no UTF-8, where they are written into files that are.

    Raises:
        UserError: names the word, and the option that it is for.
    """
    for before, word in zip(["", *words], words, strict=False):
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            of = f"{before} " if before.startswith("-") and "=" not in before else ""
            raise UserError(f"{of}{printable(word)} is not UTF-8 (see `locale charmap`); give another name or text")


def hint(name: str, known: Iterable[str]) -> str:
    """What a sentence about an unknown name may end with: the names most like it, or nothing where none is.

    >>> hint("tsak", ["task", "seed"]), hint("x", ["task", "seed"])
    ('; did you mean task?', '')
    """
    close = difflib.get_close_matches(name, sorted(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the names most like it, or some that exist.

    >>> nearest("superglue-bc", ["superglue-cb", "superglue-rte", "trec"])
    'did you mean superglue-cb or superglue-rte?'
    >>> nearest("mnli", ["b", "a"])
    'known are a, b.'
    """
    names = sorted(known)
    if near := hint(name, names):
        return near.removeprefix("; ")
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"known are {shown}." if names else "there is none."
