"""CrossFit's few-shot data: its TSV files, read and written byte for byte.

A task is a folder of files ``<task>_<k>_<seed>_{train,dev,test}.tsv``, where k may be ``all``; a record is a line
``input<TAB>output``, with further gold outputs behind further tabs, in UTF-8 and ended by a line feed alone
(a text may hold any other Unicode line separator). The format has no escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mpt.data.synthetic.draw import synthetic_fewshot, synthetic_tasks
from mpt.data.tables.own_task import read_own_task
from mpt.data.tables.records import SUFFIXES as TABLES
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.lookalikes import refuse_lookalikes
from mpt.data.tasks.task import Example, FewShot, Shots, Task
from mpt.metrics.by_name import METRICS
from mpt.util.errors import UserError
from mpt.util.files import write_text
from mpt.util.names import nearest
from mpt.util.reading import LARGEST_DATA, read_bytes
from mpt.util.utf8 import utf8_text
from mpt.util.yaml_file import is_yaml

SYNTHETIC = "synthetic"
"""In the place of a data folder: the suite that the package makes itself."""

BUILD = "build.json"
"""The file in a task's folder with which ``mpt data build`` says how it made the others."""


def read_tsv(path: str | Path, *, continued: bool = False) -> list[Example]:
    """The examples of one file, in its order. A byte order mark is taken away.

    Args:
        path: a TSV file.
        continued: take a line without a tab for the start of a record whose input holds a line break.
            CrossFit writes such records as they are, so a line without a tab may be that; without this switch
            it is an error. Likewise a record with a blank output is left out, as CrossFit does when it reads.

    Raises:
        UserError: no such file, or with line ends that are no line feeds; or a line that is not UTF-8, has no tab, or
            has a blank output, by file and line.
    """
    path = Path(path)
    try:
        content = read_bytes(path, LARGEST_DATA)
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    lines = utf8_text(path, content).split("\n")
    # A text of CrossFit's may end in a carriage return; not every one does, and no file is without a line feed.
    ended = lines[:-1]
    if ended and all(line.endswith("\r") for line in ended):
        raise UserError(f"{path} has Windows line ends (CR LF); save it with line feeds alone.")
    if not ended and lines[0].count("\t") > 1 and "\r" in lines[0]:
        raise UserError(f"{path} has old Macintosh line ends (CR alone); save it with line feeds alone.")
    if not lines[-1]:  # what follows the last line feed
        lines.pop()

    examples = []
    begun = ""
    for number, line in enumerate(lines, start=1):
        if line.endswith("\r") and not continued:
            raise UserError(
                f"{path}, line {number} ends in a carriage return, as Windows lines do; save it with line feeds alone."
            )
        text = begun + line
        input, *targets = text.split("\t")
        if targets:
            begun = ""
            if targets[0].strip():
                examples.append(Example(input, tuple(targets)))
            elif not continued:
                raise UserError(f"{path}, line {number} has a blank output after the tab.")
        elif continued and number < len(lines):
            begun = text + "\n"
        else:
            raise UserError(f"{path}, line {number} has no tab; a line is an input, a tab and one output or more.")
    return examples


def write_tsv(path: str | Path, examples: Iterable[Example]) -> None:
    """Write examples as CrossFit does: the whole file or nothing.

    A line break inside an input is written as it is; such a file is read back with ``continued``.

    Raises:
        UserError: a text with a tab, or an output with a line feed, which could not be read back.
    """
    lines = []
    for number, example in enumerate(examples, start=1):
        texts = (example.input, *example.targets)
        if any("\t" in text for text in texts) or any("\n" in target for target in example.targets):
            raise UserError(f"Example {number} for {path} holds a tab or a line break, which the format cannot.")
        if not example.targets:
            raise UserError(f"Example {number} for {path} has no output.")
        lines.append("\t".join(texts) + "\n")
    write_text(Path(path), "".join(lines))


def load_fewshot(root: str | Path, task: str, seed: int, k: Shots | None = None, metric: str | None = None) -> FewShot:
    """One few-shot draw of a task.

    The test list does not depend on the seed: where the draw has no test file, that of another seed serves.

    Args:
        root: a folder with one folder per task, or the word ``synthetic`` for the embedded suite.
        task: the name of the task's folder; or the path of a user's own task, which needs no root.
        seed: the draw; CrossFit's are 13, 21, 42, 87 and 100.
        k: as in the file names; needed only where the folder holds draws of several sizes.
        metric: in place of the catalogue's; needed for a task that is not in it.

    Raises:
        UserError: a folder, task, draw, file or metric that is not there, each with what is; a malformed or
            empty file.
    """
    facts = find_task(root, task, metric)
    if is_yaml(task):
        return replace(read_own_task(task).draw(seed, k), task=facts)
    if str(root) == SYNTHETIC:
        return replace(synthetic_fewshot(task, seed, k), task=facts)
    folder = TaskDraws.of(root, task)
    k = folder.size(k)
    train, dev, test = (folder.read(split, seed, k) for split in ("train", "dev", "test"))
    return FewShot(with_labels(facts, train), seed, k, train, dev, test)


def write_fewshot(root: str | Path, draw: FewShot) -> None:
    """Write the three files of a draw under ``root`` as CrossFit names them."""
    name = draw.task.name
    for split in ("train", "dev", "test"):
        write_tsv(Path(root, name, f"{name}_{draw.k}_{draw.seed}_{split}.tsv"), getattr(draw, split))


def find_task(root: str | Path, task: str, metric: str | None = None) -> Task:
    """What is known about a task without reading its data: see :func:`load_fewshot` for arguments and
    errors."""
    if metric is not None and metric not in METRICS:
        raise UserError(f"There is no metric {metric!r}; --data.metric is one of {', '.join(METRICS)}.")
    if is_yaml(task):
        own = read_own_task(task).task
        return replace(own, metric=metric or own.metric)
    if Path(task).suffix in TABLES and Path(task).is_file():
        raise UserError(
            f"{task} is a table; a task of your own is a YAML file beside it, which names it by file, and its columns "
            "by input and output"
        )
    if str(root) == SYNTHETIC:
        suite = synthetic_tasks()
        if task not in suite:
            raise UserError(f"There is no task {task!r} in the synthetic suite; {nearest(task, suite)}")
        return replace(suite[task], metric=metric or suite[task].metric)
    TaskDraws.of(root, task)
    entry = catalogue().get(task)
    if entry is not None:
        return replace(entry, metric=metric or entry.metric)
    if metric is None:
        raise UserError(
            f"Task {task} is not in the catalogue, so its metric must be given: "
            f"--data.metric is one of {', '.join(METRICS)}."
        )
    return Task(task, "classification" if metric in ("Classification-F1", "Matthew-Correlation") else "other", metric)


def load_examples(
    root: str | Path, task: str, seed: int, splits: Iterable[str], k: Shots | None = None
) -> list[Example]:
    """The examples of some splits of a draw, one after the other: see :func:`load_splits`."""
    return [example for examples in load_splits(root, task, seed, splits, k).values() for example in examples]


def load_pool(
    root: str | Path, task: str, seeds: Iterable[int], splits: Iterable[str], k: Shots | None = None
) -> list[Example]:
    """The examples of several draws, each different one once, in the order of their first occurrence."""
    chosen = list(splits)
    draws = (load_examples(root, task, seed, chosen, k) for seed in seeds)
    return list(dict.fromkeys(example for draw in draws for example in draw))


def load_splits(
    root: str | Path, task: str, seed: int, splits: Iterable[str], k: Shots | None = None
) -> dict[str, list[Example]]:
    """The examples of some splits of a draw, by split in their order: see :func:`load_fewshot` for the rest.

    Reads no other file, and needs no metric.
    """
    if str(root) == SYNTHETIC or is_yaml(task):
        draw = load_fewshot(root, task, seed, k)
        return {split: getattr(draw, split) for split in splits}
    draws = TaskDraws.of(root, task)
    return {split: draws.read(split, seed, draws.size(k)) for split in dict.fromkeys(splits)}


def task_names(root: str | Path) -> list[str]:
    """The tasks under a data root: the names of its folders, or of the embedded suite's tasks."""
    if str(root) == SYNTHETIC:
        return sorted(synthetic_tasks())
    if not str(root) or not Path(root).is_dir():
        raise UserError(
            f"There is no data folder {root}; the root of the data (--data.root, --root) is a folder with one folder "
            f"per task, or the word {SYNTHETIC}."
        )
    # What begins with a dot is being written, or was left by a process that was killed.
    return sorted(path.name for path in Path(root).iterdir() if path.is_dir() and not path.name.startswith("."))


def has_labels(task: str) -> bool:
    """Whether, by the catalogue, the outputs of a task are label words."""
    entry = catalogue().get(task)
    if entry is None or entry.metric == "Pearson-Correlation":  # numbers, even where they are sampled by label
        return False
    return entry.by_label or entry.type == "classification"


def with_labels(task: Task, train: Iterable[Example]) -> Task:
    """The task with its label words: the catalogue's, or those of its train examples where these have others.

    Raises:
        UserError: labels of a user's own task that look alike.
    """
    if task.type != "classification" and not has_labels(task.name):
        return replace(task, labels=())
    found = labels_of(train)
    if task.name not in catalogue():
        refuse_lookalikes(f"task {task.name}", dict.fromkeys(found, 0))
    return task if set(found) <= set(task.labels) else replace(task, labels=found)


def labels_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """The different outputs, in the order of their first occurrence."""
    return tuple(dict.fromkeys(example.targets[0] for example in examples))


@dataclass(frozen=True)
class TaskDraws:
    """The few-shot files in a task's folder.

    Attributes:
        files: (k, seed, split) to path.
    """

    task: str
    folder: Path
    files: dict[tuple[Shots, int, str], Path]

    @classmethod
    def of(cls, root: str | Path, task: str) -> TaskDraws:
        """Look into ``<root>/<task>``."""
        folder = Path(root, task)
        # All names are looked through for the complaint alone: a large study asks this thousands of times.
        plain = task and Path(task).name == task and not task.startswith(".") and str(root)
        if not (plain and folder.is_dir()) and task not in (known := task_names(root)):
            raise UserError(f"There is no task {task!r} in {root}; {nearest(task, known)}")
        name = re.compile(rf"{re.escape(task)}_(\d+|all)_(\d+)_(train|dev|test)\.tsv")
        files: dict[tuple[Shots, int, str], Path] = {}
        for path in sorted(folder.iterdir()):
            if match := name.fullmatch(path.name):
                files["all" if match[1] == "all" else int(match[1]), int(match[2]), match[3]] = path
        if not files:
            raise UserError(f"{folder} holds no few-shot file; they are named {task}_<k>_<seed>_<train|dev|test>.tsv.")
        return cls(task, folder, files)

    def size(self, k: Shots | None) -> Shots:
        """The k to use: the one given, else the only one there is."""
        sizes = sorted({size for size, _, _ in self.files}, key=lambda size: (size == "all", size))
        there = ", ".join(map(str, sizes))
        if k is None and len(sizes) > 1:
            raise UserError(f"{self.folder} holds draws for k = {there}; choose one with --data.k.")
        if k is not None and k not in sizes:
            raise UserError(f"{self.folder} holds no draw for k = {k}; there is k = {there}.")
        return sizes[0] if k is None else k

    def read(self, split: str, seed: int, k: Shots) -> list[Example]:
        """The examples of one file, which must not be empty.

        In CrossFit's data, known by the catalogue or by how it was built, a record may hold a line break; in other
        files a line without a tab is a mistake.
        """
        path = self.files.get((k, seed, split))
        if path is None and split == "test":
            seeds = [s for size, s, part in self.files if (size, part) == (k, "test")]
            path = self.files[k, min(seeds), "test"] if seeds else None
        if path is None:
            missing = self.folder / f"{self.task}_{k}_{seed}_{split}.tsv"
            seeds = sorted({s for size, s, part in self.files if size == k and part != "test"})
            if split != "test" and seeds and seed not in seeds:
                there = ", ".join(map(str, seeds))
                raise UserError(f"{self.folder} holds no draw for seed {seed}; its seeds are {there}.")
            raise UserError(f"There is no file {missing}.")
        crossfits = self.task in catalogue() or (self.folder / BUILD).is_file()
        examples = read_tsv(path, continued=crossfits)
        if not examples:
            raise UserError(f"{path} is empty; the {split} set needs at least one line.")
        return examples
