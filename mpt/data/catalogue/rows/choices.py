"""Multiple choice: the candidates stand behind the question as `` (A) first (B) second``.

A field is given as in a template, ``choices[text]`` or ``options:spaced``. Every function yields the rows with a column
``lettered``, the candidates as text, or ``correct``, the right one, or both. A row whose answer is none of its
candidates raises ValueError, IndexError or KeyError.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mpt.data.catalogue.template import Field, Row

FORM = " ({key}) {text}"
"""How a candidate is written."""


def lettered(candidates: Sequence[str], keys: Sequence[str] = string.ascii_uppercase, form: str = FORM) -> str:
    """Candidates with letters, or with their own keys.

    >>> lettered(["tea", "milk"])
    ' (A) tea (B) milk'
    >>> lettered(["tea", "milk"], ["1", "2"], "({key}){text}")
    '(1)tea(2)milk'
    """
    if len(candidates) > len(keys):
        raise ValueError(f"{len(candidates)} choices, but {len(keys)} keys")
    return "".join(form.format(key=key, text=text) for key, text in zip(keys, candidates, strict=False))


def listed(rows: Iterable[Row], *, choices: str | Sequence[str], form: str = FORM) -> Iterator[Row]:
    """Where the answer is known by its text or not needed: ``lettered`` only.

    Args:
        choices: field with the list of candidates, or a list of fields with one each.
        form: text for a candidate, with ``{key}`` and ``{text}``.
    """
    for row in rows:
        yield {**row, "lettered": lettered(_candidates(row, choices), form=form)}


def indexed(
    rows: Iterable[Row], *, choices: str | Sequence[str], answer: str, first: int = 0, form: str = FORM
) -> Iterator[Row]:
    """Where the answer is the number of a candidate: ``lettered`` and ``correct``.

    Args:
        choices, form: see :func:`listed`.
        answer: field with the number, as a number or its digits.
        first: number of the first candidate.
    """
    number = Field.of(answer)
    for row in rows:
        candidates = _candidates(row, choices)
        index = int(number.value(row)) - first
        if not 0 <= index < len(candidates):
            raise IndexError(f"answer {index + first} among {len(candidates)} choices")
        yield {**row, "lettered": lettered(candidates, form=form), "correct": candidates[index]}


def keyed(
    rows: Iterable[Row], *, choices: str | Sequence[str], answer: str, keys: str = "", form: str = FORM
) -> Iterator[Row]:
    """Where the answer is the key of a candidate, as ``B``: ``lettered``, with these keys, and ``correct``.

    Args:
        choices, form: see :func:`listed`.
        answer: field with the right key.
        keys: field with the list of their keys; without it they are A, B, C and so on.
    """
    right = Field.of(answer)
    given = Field.of(keys) if keys else None
    for row in rows:
        candidates = _candidates(row, choices)
        names = list(given.text(row) if given else string.ascii_uppercase)
        correct = candidates[names.index(right.value(row))]
        yield {**row, "lettered": lettered(candidates, names, form), "correct": correct}


def prefixed(rows: Iterable[Row], *, choices: str, answer: str) -> Iterator[Row]:
    """Where each candidate carries its letter, as ``B)milk``: ``lettered`` and ``correct``.

    Args:
        choices: field with the list of candidates.
        answer: field with the right letter.
    """
    right = Field.of(answer)
    for row in rows:
        candidates = _candidates(row, choices)
        texts = {candidate[0]: candidate[2:] for candidate in candidates}
        shown = "".join(f" ({candidate[:2]} {candidate[2:]}" for candidate in candidates)
        yield {**row, "lettered": shown, "correct": texts[right.value(row)]}


def comma_separated(rows: Iterable[Row], *, choices: str, answer: str) -> Iterator[Row]:
    """Where five candidates are one text, ``a ) 3 , b ) 4 , …``: ``lettered`` and ``correct``.

    A comma within a candidate cuts it too, and what stands where a letter should is cut off all the same: so are
    CrossFit's records. Rows whose answer is left empty by it are left out, as there.

    Args:
        choices: field with that text.
        answer: field with the right letter, ``a`` to ``e``.
    """
    text, right = Field.of(choices), Field.of(answer)
    for row in rows:
        parts = text.text(row).split(",")
        if len(parts) < 5:
            raise IndexError(f"{len(parts)} choices, not 5")
        # "a ) " or " b ) " before, and a space after all but the last.
        candidates = [parts[0][4:-1], *(part[5:-1] for part in parts[1:4]), parts[4][5:]]
        correct = candidates[list("abcde").index(right.value(row))]
        if correct:
            yield {**row, "lettered": lettered(candidates), "correct": correct}


def inline(rows: Iterable[Row], *, question: str, answer: str) -> Iterator[Row]:
    """Where the question names two candidates itself, ``is it (A) hot or (B) cold?``: ``correct``.

    Args:
        question: field with the question.
        answer: field with the number of the candidate, 0 or 1.
    """
    text, number = Field.of(question), Field.of(answer)
    for row in rows:
        asked = text.text(row)
        a, b = asked.index("(A)"), asked.index("(B)")
        correct = {0: asked[a + 4 : b], 1: asked[b + 4 :]}[number.value(row)]
        # Also of "door ": so are CrossFit's records.
        yield {**row, "correct": correct.removesuffix("or ").strip()}


def shuffled(rows: Iterable[Row], *, choices: Sequence[str], seed: int, needs: str) -> Iterator[Row]:
    """Where the source tells the right candidate apart by its column, and its place is drawn: ``lettered``.

    Args:
        choices: list of fields with one candidate each, in the order before the draw.
        seed: of the draws, in the order of the rows that stay.
        needs: field that must not be empty; rows where it is are left out, without a draw.
    """
    needed = Field.of(needs)
    random = np.random.RandomState(seed)
    for row in rows:
        if needed.text(row):
            candidates = _candidates(row, choices)
            random.shuffle(candidates)
            yield {**row, "lettered": lettered(candidates)}


def _candidates(row: Row, choices: str | Sequence[str]) -> list[str]:
    if isinstance(choices, str):
        return list(Field.of(choices).text(row))
    return [Field.of(choice).text(row) for choice in choices]
