"""What the files of a new task say: classification or free text, which labels, a dev split, and what is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mpt.data.tables.rows import RowTable, TaskRow, lines, read_rows
from mpt.data.tasks.lookalikes import as_seen, refuse_lookalikes
from mpt.data.tasks.task import FewShot, Task
from mpt.metrics.crossfit import METRICS
from mpt.util.errors import UserError
from mpt.util.names import nearest

if TYPE_CHECKING:
    from mpt.data.modules.few_shot import FewShotData

MOST_DEV = 256
"""A dev split takes no more: evaluating costs more than it tells."""

_LEAST = 4
_SHORT = 4
_SCALE = 8
"""Different numbers from which on they are a scale and no labels."""

_FEW = 20
_SWAPPED = "if the label stands first, say --input 2 --output 1, else "


@dataclass(frozen=True)
class ExampleFiles:
    """Where the examples are, and how they are to be read.

    Attributes:
        train, dev, test: files; without dev, it is split off train.
        input, output: columns, see :func:`mpt.data.tables.rows.read_rows`.
        header: whether tables have one; found by itself if not given.
        encoding: of the files; UTF-8 if not given.
        labels: the label words; found by themselves if not given.
        free_text: whether the outputs are no labels, whatever they look like.
        metric: in place of the one that is chosen by the outputs.
        dev_share: of the examples of each label that go to dev where there is no dev file.
        seed: of that split, and of the order of the batches.
    """

    train: Path
    dev: Path | None = None
    test: Path | None = None
    input: str | None = None
    output: str | None = None
    header: bool | None = None
    encoding: str | None = None
    labels: tuple[str, ...] = ()
    free_text: bool = False
    metric: str | None = None
    dev_share: float = 0.5
    seed: int = 13


@dataclass
class Examples:
    """A task as its files give it.

    Attributes:
        task: named after the train file.
        train, dev, test: rows; test may be empty.
        told: what was made of the files, a sentence each.
    """

    task: Task
    train: list[TaskRow]
    dev: list[TaskRow]
    test: list[TaskRow]
    told: list[str] = field(default_factory=list)

    def data(self, batch_size: int, seed: int) -> FewShotData:
        """The examples as a data module."""
        from mpt.data.modules.few_shot import FewShotData  # Lightning; files are looked at without it

        data = FewShotData(self.task.name, seed=seed, batch_size=batch_size, test_examples=None)
        parts = ([row.example for row in rows] for rows in (self.train, self.dev, self.test))
        data.fewshot = FewShot(self.task, seed, "all", *parts)
        data.task, data.labels = self.task, self.task.labels
        return data


def read_examples(source: ExampleFiles) -> Examples:
    """Read the files and see to it that they can be learned from.

    Raises:
        UserError: what is wrong, by file and line.
    """
    if source.labels and source.free_text:
        raise UserError("--labels and --free-text contradict one another: give one")
    if source.metric is not None and source.metric not in METRICS:
        raise UserError(f"There is no metric {source.metric!r}; --metric is one of {', '.join(METRICS)}.")
    if not 0 < source.dev_share < 1:
        raise UserError(f"--dev-share is a share above 0 and below 1, not {source.dev_share:g}")
    files = {"train": source.train, "dev": source.dev, "test": source.test}
    tables = {
        name: read_rows(path, source.input, source.output, source.header, source.encoding)
        for name, path in files.items()
        if path is not None
    }
    told = [f"{table.file.name}: {sentence}" for table in tables.values() for sentence in table.told]
    told = list(dict.fromkeys(told))
    train = _without_repeats(source, tables["train"], told)
    labels = _labels(source, train, told)
    metric = _metric(source, tables, labels, told)
    for name in ("dev", "test"):
        if name in tables and labels:
            _check_labels(tables[name], labels, source)
    test = tables["test"].rows if "test" in tables else []
    if "dev" in tables:
        dev = tables["dev"].rows
        train = _apart(source, train, tables["dev"], told)
        if missing := [label for label in labels if label not in {row.output for row in train}]:
            told.append(f"no example of {', '.join(map(repr, missing))} is left in {source.train.name} to learn from")
    else:
        _check_enough(source, train, labels, told)
        train, dev = _split(source, train, labels)
        told.append(
            f"{source.train.name}: split by seed {source.seed} into {len(train)} to train on and {len(dev)} dev"
        )
    if test:
        for part, rows in (("train", train), ("dev", dev)):
            if shared := _shared(tables["test"].rows, rows):
                told.append(
                    f"{tables['test'].file.name}: inputs that are in {part} too, so that the test score is too good: "
                    f"{lines(shared)}"
                )
    if len(train) + len(dev) < _FEW:
        told.append(f"{len(train) + len(dev)} examples are few: 16 of each label (or 32) to train on are a good start")
    kind = "classification" if labels else "other"
    return Examples(Task(source.train.stem, kind, metric, labels), train, dev, test, told)


# What the outputs are --------------------------------------------------------------------------------------------


def _labels(source: ExampleFiles, train: Sequence[TaskRow], told: list[str]) -> tuple[str, ...]:
    """The label words; empty for free text."""
    counts = Counter(row.output for row in train)
    if source.labels:
        labels = tuple(dict.fromkeys(label.strip() for label in source.labels))
        refuse_lookalikes("--labels", dict.fromkeys(labels, 0))
        for row in train:
            if row.output not in labels:
                raise UserError(
                    f"{source.train}, line {row.line}: the label {row.output!r} is not among --labels; "
                    f"{as_seen(row.output, labels) or nearest(row.output, labels)}"
                )
        return labels
    several = any(len(row.example.targets) > 1 for row in train)
    numeric = source.metric == "Pearson-Correlation" or (source.metric is None and _continuous(counts))
    # Labels come up again and again, few of them once alone, and they do not stand in the text as an extract does.
    looks_so = len(counts) <= len(train) // 2 and sum(n == 1 for n in counts.values()) <= max(1, len(counts) // 4)
    looks_so = looks_so and sum(_holds(row.input, row.output) for row in train) <= len(train) // 2
    if source.free_text or several or numeric or not looks_so or len(train) < _LEAST:
        if not source.free_text:
            told.append(
                f"the {len(counts)} different outputs of {len(train)} examples are taken for free text; "
                "if they are labels, name them by --labels"
            )
        return ()
    labels = tuple(sorted(counts))
    if len(labels) == 1:
        raise UserError(f"{source.train}: every output is {labels[0]!r}, so there is nothing to learn")
    refuse_lookalikes(str(source.train), {row.output: row.line for row in reversed(train)})
    shown = ", ".join(f"{label} ({counts[label]})" for label in labels)
    told.append(f"the outputs are taken for {len(labels)} labels: {shown}; if they are not, say --free-text")
    folded = defaultdict(list)
    for label in labels:
        folded[" ".join(label.lower().split())].append(label)
    for alike in folded.values():
        if len(alike) > 1:
            told.append(f"these labels differ by their case or spaces alone: {', '.join(map(repr, alike))}")
    return labels


def _holds(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text, re.IGNORECASE) is not None


def _continuous(outputs: Iterable[str]) -> bool:
    """Whether outputs are values on a scale: many different numbers, not all of them whole."""
    different = set(outputs)
    if len(different) < _SCALE or not all(map(_is_number, different)):
        return False
    return not all(float(text).is_integer() for text in different)


def _metric(source: ExampleFiles, tables: dict[str, RowTable], labels: Sequence[str], told: list[str]) -> str:
    metric = source.metric
    if metric is None:
        outputs = [row.output for row in tables["train"].rows]
        short = sum(len(text.split()) <= _SHORT for text in outputs) >= 0.9 * len(outputs)
        metric = "ACC" if labels else "EM" if short else "Rouge-L"
        if not labels and _continuous(outputs):
            metric = "Pearson-Correlation"
            told.append(f"scored by {metric}, as the outputs are many different numbers; --metric names another")
        elif not labels:
            told.append(
                f"scored by {metric}, as the outputs are {'short' if short else 'long'}; --metric names another"
            )
    if metric == "Pearson-Correlation":
        for table in tables.values():
            for row in table.rows:
                if not _is_number(row.output):
                    raise UserError(f"{table.file}, line {row.line}: {row.output!r} is no number, as {metric} needs it")
    return metric


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check_labels(table: RowTable, labels: Sequence[str], source: ExampleFiles) -> None:
    """Refuse labels that no training example has."""
    unseen: dict[str, list[int]] = defaultdict(list)
    for row in table.rows:
        if row.output not in labels:
            unseen[row.output].append(row.line)
    if not unseen:
        return
    label, numbers = next(iter(unseen.items()))
    others = f" (nor are {', '.join(map(repr, list(unseen)[1:6]))})" if len(unseen) > 1 else ""
    where = "--labels" if source.labels else f"the labels of {source.train.name}"
    # One that is only misspelt deserves to hear so.
    known = nearest(label, labels) if len(labels) > 5 else f"these are {', '.join(labels)}"
    known = as_seen(label, labels) or known
    raise UserError(
        f"{table.file}, {lines(numbers)}: the label {label!r} is not among {where}{others}; {known}. Correct it, add "
        "examples of it to train, or say --free-text if the outputs are no labels"
    )


# Who is in what --------------------------------------------------------------------------------------------------


def _without_repeats(source: ExampleFiles, table: RowTable, told: list[str]) -> list[TaskRow]:
    """Each record once, and a word on inputs that have several outputs."""
    first: dict[tuple[str, str], TaskRow] = {}
    repeated = []
    for row in table.rows:
        if first.setdefault((row.input, row.output), row) is not row:
            repeated.append(row.line)
    if repeated:
        told.append(f"{table.file.name}: the same record again, left out: {lines(repeated)}")
    rows = list(first.values())
    counts = Counter(row.input for row in rows)
    if torn := [row.line for row in rows if counts[row.input] > 1]:
        told.append(f"{table.file.name}: one input with different outputs, which cannot all be right: {lines(torn)}")
    if _swapped(source, rows):
        told.append(f"{table.file.name}: the inputs repeat and the outputs do not; {_SWAPPED.removesuffix(', else ')}")
    return rows


def _swapped(source: ExampleFiles, rows: Sequence[TaskRow]) -> bool:
    """Whether the inputs, taken by their place, look like labels and the outputs like texts."""
    inputs, outputs = ({text for text in texts} for texts in zip(*((r.input, r.output) for r in rows), strict=True))
    few = len(rows) >= _LEAST and len(inputs) <= len(rows) // 2 < len(outputs)
    return few and source.input is None and source.output is None


def _apart(source: ExampleFiles, train: list[TaskRow], dev: RowTable, told: list[str]) -> list[TaskRow]:
    """Train without the inputs of dev, so that dev tells what was learned and not what was remembered."""
    if shared := _shared(train, dev.rows):
        told.append(
            f"{source.train.name}: inputs that are in {dev.file.name} too, left out of training: {lines(shared)}"
        )
    inputs = {row.input for row in dev.rows}
    left = [row for row in train if row.input not in inputs]
    if len(left) < 2:
        raise UserError(f"{source.train}: {len(left)} examples are left for training; it takes at least 2")
    return left


def _shared(rows: Sequence[TaskRow], others: Sequence[TaskRow]) -> list[int]:
    inputs = {row.input for row in others}
    return [row.line for row in rows if row.input in inputs]


def _check_enough(source: ExampleFiles, rows: Sequence[TaskRow], labels: Sequence[str], told: list[str]) -> None:
    if len(rows) < _LEAST:
        raise UserError(
            f"{source.train} has {len(rows)} different example{'s' if len(rows) > 1 else ''}; at least {_LEAST} are "
            "needed to train on some and choose on others, and 16 of each label (or 32) are a good start"
        )
    counts = Counter(row.output for row in rows)
    if labels and max(counts.values()) == 1:
        raise UserError(f"{source.train}: every label has one example alone, so that dev would have none; add some")
    for label in labels:
        if counts[label] == 1:
            line = next(row.line for row in rows if row.output == label)
            told.append(
                f"{source.train.name}: the label {label!r} has one example alone (line {line}), which is trained on: "
                "dev says nothing of that label"
            )
        if counts[label] == 0:
            raise UserError(f"{source.train} has no example of the label {label!r} of --labels; add some")


def _split(source: ExampleFiles, rows: Sequence[TaskRow], labels: Sequence[str]) -> tuple[list[TaskRow], list[TaskRow]]:
    """Train and dev, of each label in the same shares; in the file's order."""
    rng = np.random.default_rng((source.seed, 7))
    counts = Counter(row.input for row in rows)
    share = min(source.dev_share, MOST_DEV / len(rows))
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[row.output if labels else ""].append(place)
    chosen: set[int] = set()
    for places in groups.values():
        # An input that has several outputs stays in train, for it must not be in both.
        free = [place for place in places if counts[rows[place].input] == 1]
        wanted = min(max(1, round(share * len(places))), len(places) - 1, len(free))
        chosen.update(rng.permutation(free)[:wanted].tolist() if wanted else ())
    swapped, alone = _swapped(source, rows), sum(counts[row.input] == 1 for row in rows)
    if not chosen or (swapped and alone < 0.1 * len(rows)):
        raise UserError(
            f"{source.train}: {alone or 'none'} of {len(rows)} examples can go to dev, for the other inputs have "
            f"several outputs; {_SWAPPED if swapped else ''}give --dev"
        )
    return [row for i, row in enumerate(rows) if i not in chosen], [row for i, row in enumerate(rows) if i in chosen]
