"""What the outputs of a table are: labels or free text, and what they are scored by."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpt.data.tables.rows import RowTable, TaskRow, lines
from mpt.data.tasks.lookalikes import as_seen, refuse_lookalikes
from mpt.util.errors import UserError
from mpt.util.names import nearest

LEAST = 4
"""Examples that a task needs, and from which on its outputs may be taken for labels."""

_SHORT = 4
_SCALE = 8
"""Different numbers from which on they are a scale and no labels."""


@dataclass(frozen=True)
class Wording:
    """How a user says what the outputs are, for sentences on them.

    Attributes:
        labels: what names the labels.
        free_text: what says that there are none.
        metric: what names the metric.
    """

    labels: str
    free_text: str
    metric: str


def labels_found(
    table: RowTable, rows: Sequence[TaskRow], wording: Wording, metric: str | None, told: list[str]
) -> tuple[str, ...]:
    """The label words, where nobody says what the outputs are; empty for free text.

    Args:
        rows: those of the table that count.
        metric: that is asked for, if one is.
        told: what was made of them is added to it.

    Raises:
        UserError: one label alone, or labels that look alike.
    """
    counts = Counter(row.output for row in rows)
    several = any(len(row.example.targets) > 1 for row in rows)
    numeric = metric == "Pearson-Correlation" or (metric is None and _continuous(counts))
    if metric is None and not numeric and _continuous(map(_with_point, counts)):
        told.append("the outputs have decimal commas; with a point (3.5 for 3,5) they would be numbers")
    # Labels come up again and again, few of them once alone, and they do not stand in the text as an extract does.
    looks_so = len(counts) <= len(rows) // 2 and sum(n == 1 for n in counts.values()) <= max(1, len(counts) // 4)
    looks_so = looks_so and sum(_holds(row.input, row.output) for row in rows) <= len(rows) // 2
    if several or numeric or not looks_so or len(rows) < LEAST:
        told.append(
            f"the {len(counts)} different outputs of {len(rows)} examples are taken for free text; "
            f"if they are labels, name them by {wording.labels}"
        )
        return ()
    labels = tuple(sorted(counts))
    if len(labels) == 1:
        raise UserError(f"{table.file}: every output is {labels[0]!r}, so there is nothing to learn")
    refuse_lookalikes(str(table.file), {row.output: row.line for row in reversed(rows)})
    shown = ", ".join(f"{label} ({counts[label]})" for label in labels)
    told.append(f"the outputs are taken for {len(labels)} labels: {shown}; if they are not, say {wording.free_text}")
    folded = defaultdict(list)
    for label in labels:
        folded[" ".join(label.lower().split())].append(label)
    for alike in folded.values():
        if len(alike) > 1:
            told.append(f"these labels differ by their case or spaces alone: {', '.join(map(repr, alike))}")
    return labels


def metric_of(
    tables: Sequence[RowTable], labels: Sequence[str], wording: Wording, metric: str | None, told: list[str]
) -> str:
    """The metric that is asked for, or else the one that goes with the outputs of the first table.

    Raises:
        UserError: outputs of any table that the metric cannot take.
    """
    if metric is None:
        outputs = [row.output for row in tables[0].rows]
        short = sum(len(text.split()) <= _SHORT for text in outputs) >= 0.9 * len(outputs)
        metric = "ACC" if labels else "EM" if short else "Rouge-L"
        if not labels and _continuous(outputs):
            metric = "Pearson-Correlation"
            told.append(
                f"scored by {metric}, as the outputs are many different numbers; {wording.metric} names another"
            )
        elif not labels:
            told.append(
                f"scored by {metric}, as the outputs are {'short' if short else 'long'}; {wording.metric} names another"
            )
    if metric == "Pearson-Correlation":
        for table in tables:
            for row in table.rows:
                if not _is_number(row.output):
                    point = _with_point(row.output)
                    way = f"; write {point}, with a point" if point != row.output else ""
                    raise UserError(
                        f"{table.file}, line {row.line}: {row.output!r} is no number, as {metric} needs it{way}"
                    )
    return metric


def refuse_unseen(table: RowTable, labels: Sequence[str], where: str, wording: Wording) -> None:
    """Refuse labels that are not among the known ones.

    Args:
        where: these come from.
    """
    unseen: dict[str, list[int]] = defaultdict(list)
    for row in table.rows:
        if row.output not in labels:
            unseen[row.output].append(row.line)
    if not unseen:
        return
    label, numbers = next(iter(unseen.items()))
    others = f" (nor are {', '.join(map(repr, list(unseen)[1:6]))})" if len(unseen) > 1 else ""
    # One that is only misspelt deserves to hear so.
    known = nearest(label, labels) if len(labels) > 5 else f"these are {', '.join(labels)}"
    known = as_seen(label, labels) or known
    raise UserError(
        f"{table.file}, {lines(numbers)}: the label {label!r} is not among {where}{others}; {known}. Correct it, add "
        f"examples of it to train, or say {wording.free_text} if the outputs are no labels"
    )


def _holds(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text, re.IGNORECASE) is not None


def _continuous(outputs: Iterable[str]) -> bool:
    """Whether outputs are values on a scale: many different numbers, not all of them whole."""
    different = set(outputs)
    if len(different) < _SCALE or not all(map(_is_number, different)):
        return False
    return not all(float(text).is_integer() for text in different)


def _with_point(text: str) -> str:
    """A number with a decimal comma as one with a point; other texts as they are."""
    return re.sub(r"^([-+]?\d+),(\d+)$", r"\1.\2", text)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
