"""What the files of a new task say: classification or free text, which labels, a dev split, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpt.data.tables.kind import LEAST, Wording, labels_found, metric_of, refuse_unseen
from mpt.data.tables.labelled import labelled
from mpt.data.tables.own_file import is_template
from mpt.data.tables.own_task import read_own_task
from mpt.data.tables.rows import RowTable, TaskRow, read_rows
from mpt.data.tables.splits import places_of_share, tell_shared, without_inputs_of, without_repeats
from mpt.data.tables.texts import open_texts
from mpt.data.tasks.lookalikes import as_seen, refuse_lookalikes
from mpt.data.tasks.task import FewShot, Task
from mpt.metrics.by_name import METRICS
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.yaml_file import is_yaml

if TYPE_CHECKING:
    from mpt.data.modules.few_shot import FewShotData

MOST_DEV = 256
"""A dev split takes no more: evaluating costs more than it tells."""

OPTIONS = Wording("--labels", "--free-text", "--metric")

_IN_FILE = ("dev", "test", "input", "output", "header", "encoding", "labels", "free_text", "metric")
"""What the YAML file of a user's own task says."""

_FEW = 20
_SWAPPED = "if the label stands first, say --input 2 --output 1, else "


@dataclass(frozen=True)
class ExampleFiles:
    """Where the examples are, and how they are to be read.

    Attributes:
        train, dev, test: files; without dev, it is split off train. A YAML file as train is a user's own task
            (:mod:`mpt.data.tables.own_file`), which says all that follows but the last two.
        input, output: columns, see :func:`mpt.data.tables.rows.read_rows`; input may be a template over them.
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
        template: the column or key that the inputs are from, or of an own task the text that columns make; empty where
            columns have no names.
    """

    task: Task
    train: list[TaskRow]
    dev: list[TaskRow]
    test: list[TaskRow]
    told: list[str] = field(default_factory=list)
    template: str = ""

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
    if not 0 < source.dev_share < 1:
        raise UserError(f"--dev-share is a share above 0 and below 1, not {source.dev_share:g}")
    found = _of_own(source) if is_yaml(source.train) else _of_files(source)
    if len(rows := [*found.train, *found.dev]) < _FEW:
        found.told.append(f"{len(rows)} examples are few: 16 of each label (or 32) to train on are a good start")
    return found


def _of_own(source: ExampleFiles) -> Examples:
    if said := [name for name in _IN_FILE if getattr(source, name) not in (None, False, (), [])]:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in said)
        raise UserError(f"{options} cannot be given with {source.train}: a task's YAML file says it")
    own = read_own_task(source.train)
    train, dev, told = own.rows("train"), own.rows("dev"), list(own.told)
    if not dev:
        table = replace(source, train=own.tables["train"].file, input=own.input.text)  # for complaints
        there = {row.output for row in train}
        _check_enough(table, train, [label for label in own.task.labels if label in there], told)
        train, dev = _split(table, train, own.task.labels, f"{source.train.name} a file dev", told)
    return Examples(own.task, train, dev, own.rows("test"), told, own.input.text)


def _of_files(source: ExampleFiles) -> Examples:
    if source.labels and source.free_text:
        raise UserError("--labels and --free-text contradict one another: give one")
    if source.metric is not None and source.metric not in METRICS:
        raise UserError(f"There is no metric {source.metric!r}; --metric is one of {', '.join(METRICS)}.")
    files = {"train": source.train, "dev": source.dev, "test": source.test}
    tables = {name: _rows_of(path, source) for name, path in files.items() if path is not None}
    told = [f"{table.file.name}: {sentence}" for table in tables.values() for sentence in table.told]
    told = list(dict.fromkeys(told))
    train = without_repeats(tables["train"], told)
    if _swapped(source, train):
        told.append(
            f"{source.train.name}: the inputs repeat and the outputs do not; {_SWAPPED.removesuffix(', else ')}"
        )
    labels = _labels(source, tables["train"], train, told)
    metric = metric_of(list(tables.values()), labels, OPTIONS, source.metric, told)
    for name in ("dev", "test"):
        if name in tables and labels:
            where = OPTIONS.labels if source.labels else f"the labels of {source.train.name}"
            refuse_unseen(tables[name], labels, where, OPTIONS)
    if "dev" in tables:
        dev = tables["dev"].rows
        train = without_inputs_of(tables["dev"], train, source.train.name, told)
        if len(train) < 2:
            raise UserError(
                f"{source.train}: {len(train)} examples are left for training without the inputs that {source.dev} has "
                "too; it takes at least 2"
            )
        if missing := [label for label in labels if label not in {row.output for row in train}]:
            told.append(f"no example of {', '.join(map(repr, missing))} is left in {source.train.name} to learn from")
    else:
        _check_enough(source, train, labels, told)
        train, dev = _split(source, train, labels, "--dev", told)
    if "test" in tables:
        tell_shared(tables["test"], {"train": train, "dev": dev}, told)
    test = tables["test"].rows if "test" in tables else []
    kind = "classification" if labels else "other"
    column = tables["train"].input
    template = (source.input or "") if is_template(source.input) else "" if is_template(column) else column
    return Examples(Task(source.train.stem, kind, metric, labels), train, dev, test, told, template)


def _rows_of(path: Path, source: ExampleFiles) -> RowTable:
    if is_template(source.input):
        return labelled(open_texts(path, source.input, source.header, source.encoding), source.output)
    return read_rows(path, source.input, source.output, source.header, source.encoding)


def _labels(source: ExampleFiles, table: RowTable, train: Sequence[TaskRow], told: list[str]) -> tuple[str, ...]:
    """The label words; empty for free text."""
    if source.free_text:
        return ()
    if not source.labels:
        return labels_found(table, train, OPTIONS, source.metric, told)
    labels = tuple(dict.fromkeys(label.strip() for label in source.labels))
    if len(labels) < 2:
        raise UserError(
            f"--labels {labels[0]}: a classification has two labels or more; name them all, or leave it out"
        )
    refuse_lookalikes("--labels", dict.fromkeys(labels, 0))
    for row in train:
        if row.output not in labels:
            raise UserError(
                f"{source.train}, line {row.line}: the label {row.output!r} is not among --labels; "
                f"{as_seen(row.output, labels) or nearest(row.output, labels)}"
            )
    return labels


def _swapped(source: ExampleFiles, rows: Sequence[TaskRow]) -> bool:
    """Whether the inputs, taken by their place, look like labels and the outputs like texts."""
    inputs, outputs = ({text for text in texts} for texts in zip(*((r.input, r.output) for r in rows), strict=True))
    few = len(rows) >= LEAST and len(inputs) <= len(rows) // 2 < len(outputs)
    return few and source.input is None and source.output is None


def _check_enough(source: ExampleFiles, rows: Sequence[TaskRow], labels: Sequence[str], told: list[str]) -> None:
    if len(rows) < LEAST:
        raise UserError(
            f"{source.train} has {len(rows)} different example{'s' if len(rows) > 1 else ''}; at least {LEAST} are "
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


def _split(
    source: ExampleFiles, rows: Sequence[TaskRow], labels: Sequence[str], way: str, told: list[str]
) -> tuple[list[TaskRow], list[TaskRow]]:
    """Train and dev, of each label in the same shares; in the file's order.

    Args:
        way: what to give where none can go to dev.
    """
    share = min(source.dev_share, MOST_DEV / len(rows))
    chosen = places_of_share(rows, share, (source.seed, 7), bool(labels))
    counts = Counter(row.input for row in rows)
    swapped, alone = _swapped(source, rows), sum(counts[row.input] == 1 for row in rows)
    if not chosen or (swapped and alone < 0.1 * len(rows)):
        raise UserError(
            f"{source.train}: {alone or 'none'} of {len(rows)} examples can go to dev, for the other inputs have "
            f"several outputs; {_SWAPPED if swapped else ''}give {way}"
        )
    train, dev = ([row for i, row in enumerate(rows) if (i in chosen) == wanted] for wanted in (False, True))
    told.append(f"{source.train.name}: split by seed {source.seed} into {len(train)} to train on and {len(dev)} dev")
    return train, dev
