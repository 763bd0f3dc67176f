"""Whether a catalogue file's example comes out as the file says: so a slip in a template is told before a download."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import zip_longest

from mpt.data.catalogue.recipe import ExampleRecipe, Record
from mpt.util.errors import UserError
from mpt.util.schema import shown

_PYTHONS = re.compile(r"to unpack|invalid literal|could not convert|zip\(\)|[Ff]ormat (code|specifier)|format string")
"""Values of another kind or length, in Python's words."""


def check_example(recipe: ExampleRecipe, labels: Collection[str], where: str) -> None:
    """Make the example's records of its rows, and of no other columns than the recipe lists.

    Args:
        labels: every output is one of them, if there are any.
        where: the start of a complaint: ``The task file own.yaml``.

    Raises:
        UserError: they cannot be made, or are not those of the file; an output is none of the labels.
    """
    if recipe.example is None:
        return
    for number, row in enumerate(recipe.example.rows, start=1):
        if missing := [column for column in recipe.columns if column not in row]:
            raise UserError(
                f"{where}: example: row {number} must have every column that is read, and has no {shown(missing[0])}."
            )
    rows = [{column: row[column] for column in recipe.columns} for row in recipe.example.rows]
    try:
        made = list(recipe.records(rows, f"{where}: example"))
    except UserError as error:
        if error.__cause__ is None:  # a label without a word, told in full
            raise
        raise UserError(
            f"{where}: example: rows, input or output cannot be applied to its row: {_reason(error.__cause__, recipe)}."
        ) from None
    stated = recipe.example.records
    if len(made) != len(stated):
        raise UserError(f"{where}: example: its rows make {len(made)} records, and it states {len(stated)}.")
    for record, ours in zip(made, stated, strict=True):
        for part in Record._fields:
            text, said = getattr(record, part), getattr(ours, part)
            if text != said:
                raise UserError(f"{where}: example: {part} {_difference(text, said)}.")
        if labels and record.output not in labels:
            raise UserError(
                f"{where}: example: the output {record.output!r} is none of the labels {', '.join(labels)}."
            )


def _reason(error: BaseException, recipe: ExampleRecipe) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r} (the columns that are read are {', '.join(recipe.columns)})"
    if isinstance(error, IndexError) and str(error).endswith("out of range"):
        return "a list in it is too short"
    if str(error).endswith("is not in list"):
        return "what is looked for, as a right answer, is not in its list"
    if not isinstance(error, ValueError) or _PYTHONS.search(str(error)):
        return "a value in it is of another kind than is needed there, a number or a list in place of a text or so"
    return " ".join(str(error).split())


def _difference(made: str, stated: str) -> str:
    """Where two texts differ, with what comes just before."""
    place = next(i for i, (one, other) in enumerate(zip_longest(made, stated)) if one != other)
    begin = max(0, place - 20)
    ours, theirs = (
        ("..." if begin else "") + text[begin : place + 40] + ("..." if len(text) > place + 40 else "")
        for text in (made, stated)
    )
    return f"is {ours!r} as made from its row, and not {theirs!r} as stated there"
