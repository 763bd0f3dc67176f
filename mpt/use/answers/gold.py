"""Right answers as a prompt's labels spell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mpt.data.tables.rows import TaskRow
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.names import nearest


def spelt_as_known(rows: Sequence[TaskRow], labels: Sequence[str], file: Path) -> tuple[list[TaskRow], list[str]]:
    """Examples whose outputs are spelt as the labels that differ from them by case alone; what was found, in sentences.

    Metrics such as ACC do not look at case, so a report by label must not either.

    Args:
        labels: that the prompt knows; of none nothing is done.
        file: that the rows are from.

    Raises:
        UserError: no row has an output that is a label.
    """
    count = Counter(label.lower() for label in labels)
    spelt = {label.lower(): label for label in labels if count[label.lower()] == 1}
    found, other, unknown = [], Counter[str](), list[TaskRow]()
    for row in rows:
        known = tuple(text if text in labels else spelt.get(text.lower(), text) for text in row.example.targets)
        found.append(replace(row, example=Example(row.input, known)))
        other.update({row.output: 1} if known[0] != row.output else {})
        unknown += [] if set(known) & set(labels) else [row]
    if labels and len(unknown) == len(rows):
        raise UserError(
            f"{file}, line {unknown[0].line}: {unknown[0].output!r} is no label of the prompt, nor is that of any "
            f"other row; {nearest(unknown[0].output, labels)} --output names the labels' column, and a task's YAML "
            "file may say what stands for which"
        )
    told = []
    if other:
        text = next(iter(other))
        told.append(f"{other.total()} of {len(rows)} labels differ by case alone: {text!r} is {spelt[text.lower()]!r}")
    if labels and unknown:
        told.append(
            f"{len(unknown)} of {len(rows)} rows have a label that the prompt does not know, such as "
            f"{unknown[0].output!r} in line {unknown[0].line}, and are answered wrong"
        )
    return found, told
