"""A user's own task: its YAML file and the tables beside it, read, checked, and drawn from as CrossFit draws."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mpt.data.tables.kind import LEAST, Wording, labels_found, metric_of, refuse_unseen
from mpt.data.tables.own_file import ColumnText, OwnTaskFile, read_own_file
from mpt.data.tables.records import FileRecord, FileRecords, read_records
from mpt.data.tables.rows import RowTable, TaskRow, as_text, in_header, key_paths, lines
from mpt.data.tables.splits import places_of_share, tell_shared, without_inputs_of, without_repeats
from mpt.data.tasks.lookalikes import as_seen, refuse_lookalikes
from mpt.data.tasks.sampling import sample, shuffled
from mpt.data.tasks.task import Example, FewShot, Shots, Task
from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.names import hint, nearest, printable
from mpt.util.reading import open_file, read_bytes, why_unread

_SHOWN = 8
_BLOCK = 1 << 22
_TEST = 11
"""Of the random stream that chooses test: not that by which mpt adapt chooses dev."""


@dataclass(frozen=True)
class OwnTask:
    """A user's own task.

    Attributes:
        file: its YAML file.
        task: called by the file's name.
        input: the text of an example's input.
        tables: ``train``, from which few-shot draws are taken, ``test``, and ``dev`` if that is a file of its own: the
            examples, and the file that they are from.
        told: what was made of the tables, a sentence each.
        digest: of all this: a run on other examples is another run.
    """

    file: Path
    task: Task
    input: ColumnText
    tables: Mapping[str, RowTable] = field(repr=False)
    told: tuple[str, ...] = field(repr=False)
    digest: str

    def rows(self, split: str) -> list[TaskRow]:
        """The examples of a split; none if it is no part of the task."""
        return self.tables[split].rows if split in self.tables else []

    def render(self, record: Mapping[str, Any], file: Path | None = None, line: int = 1) -> str:
        """The input of a record that may have no output.

        Args:
            record: cells by column or key; of a table without a header by ``1``, ``2`` and so on.
            file, line: where it stands, for a complaint.

        Raises:
            UserError: a column that is not there, or a cell that is no text.
        """
        cells = {**key_paths(dict(record)), **record}
        file = file or Path("record")
        if missing := [column for column in self.input.columns if column not in cells]:
            raise UserError(
                f"{file}, line {line} has no column {_named(missing)}, which input in {self.file} takes; it has "
                f"{_named(cells)}"
            )
        at = FileRecord(line, {})
        return self.input.of_cells({name: as_text(file, at, name, cells[name]) for name in self.input.columns})

    def draw(self, seed: int, k: Shots | None = None) -> FewShot:
        """One few-shot draw from train, as CrossFit takes it (:func:`mpt.data.tasks.sampling.draw`).

        Dev and test are the same for all draws where they are files of their own; test always is.

        Args:
            seed: from 0 to 2**32 - 1.
            k: examples of each label in train, or in all where there are no labels, and as many in dev; or ``all``.
                CrossFit's 16 and 32 if not given.

        Raises:
            UserError: a k that leaves nothing for dev.
        """
        k = self.size(k)
        pool = [row.example for row in self.rows("train")]
        train, dev = sample(pool, k, seed, bool(self.task.labels))
        if "dev" in self.tables:
            train = shuffled(pool, seed) if k == "all" else train
            dev = [row.example for row in self.rows("dev")]
        elif not dev:
            most = max(self._counts().values())
            fits = f"a k of at most {most // 2}, or all" if most > 1 else "more examples"
            raise UserError(
                f"{self.file}: k = {k} takes all {len(pool)} examples of {self.tables['train'].file.name} to train on, "
                f"and none is left for dev; give {fits}"
            )
        return FewShot(self.task, seed, k, train, dev, [row.example for row in self.rows("test")])

    def size(self, k: Shots | None) -> Shots:
        """The k to use: the one that is given, or CrossFit's."""
        if k is None:
            return 16 if self.task.labels else 32
        if k != "all" and k < 1:
            raise UserError(f"--data.k must be at least 1, not {k}.")
        return k

    def tell_draw(self, k: Shots | None = None) -> list[str]:
        """Sentences on the task, and on what a draw of a size lacks."""
        k = self.size(k)
        if k == "all":
            return list(self.told)
        needed = k if "dev" in self.tables else 2 * k
        few = {label: count for label, count in self._counts().items() if count < needed}
        of_label = f" of {_counted(few)}" if self.task.labels else ""
        half = ", half of them for dev" if "dev" not in self.tables else ""
        each = " of each label" if self.task.labels else ""
        lack = f"k = {k} takes {needed} examples{each}{half}; there are fewer{of_label}" if few else ""
        return [*self.told, *([lack] if lack else [])]

    def _counts(self) -> Counter[str]:
        """Examples to draw from, by label, or of all."""
        return Counter(row.output if self.task.labels else "" for row in self.rows("train"))


def read_own_task(path: str | Path) -> OwnTask:
    """A user's own task by the path of its YAML file (:mod:`mpt.data.tables.own_file`).

    Raises:
        UserError: what is wrong with the file or a table, by file and key or line.
    """
    path = Path(path)
    said = read_own_file(path)
    if not is_folder_name(path.stem) or not path.stem.isprintable() or path.stem.startswith((".", "-", " ")):
        raise UserError(f"The task file {path}: {path.stem!r} cannot be a task's name, which folders have; rename it")
    digest = hashlib.sha256(read_bytes(path))
    for file in said.tables(path.parent).values():
        try:
            with open_file(file) as content:
                own = hashlib.sha256()
                while block := content.read(_BLOCK):
                    own.update(block)
            digest.update(own.digest())
        except (OSError, ValueError) as error:  # ValueError: a null byte
            name = printable(str(file))
            raise UserError(f"The task file {path} names {name}, which cannot be read: {why_unread(error)}") from None
    return _read(path, digest.hexdigest())


@lru_cache(maxsize=8)  # a task is read for each of its draws
def _read(path: Path, digest: str) -> OwnTask:
    said = read_own_file(path)
    words = Wording(*(f"{name} in {path.name}" for name in ("labels", "free_text: true", "metric")))
    files = said.tables(path.parent)
    tables = {split: _table(file, said, path) for split, file in files.items()}
    told = list(dict.fromkeys(f"{one.file.name}: {sentence}" for one in tables.values() for sentence in one.told))
    train = tables["train"]
    if said.labels:
        refuse_lookalikes(f"The task file {path}: labels", dict.fromkeys(said.labels, 0))
        refuse_lookalikes(f"The task file {path}: labels", dict.fromkeys(said.labels.values(), 0))
        _put_words(tables.values(), said.labels, path)
    train.rows = without_repeats(train, told)
    if len(train.rows) < LEAST:
        raise UserError(
            f"{train.file} has {len(train.rows)} different example{'s' if len(train.rows) > 1 else ''}; at least "
            f"{LEAST} are needed, and 16 of each label (or 32) to train on and as many for dev are a good start"
        )
    labels = tuple(dict.fromkeys(said.labels.values()))
    if not labels and not said.free_text:
        labels = labels_found(train, train.rows, words, said.metric, told)
    metric = metric_of(list(tables.values()), labels, words, said.metric, told)
    if labels and not said.labels:
        for split in files.keys() - {"train"}:
            refuse_unseen(tables[split], labels, f"the labels of {train.file.name}", words)
    if "dev" in tables:
        train.rows = without_inputs_of(tables["dev"], train.rows, train.file.name, told)
    if "test" in tables:
        tell_shared(tables["test"], {split: tables[split].rows for split in ("train", "dev") if split in tables}, told)
    else:
        _take_test(tables, said, bool(labels), told)
    if unseen := [label for label in labels if label not in {row.output for row in train.rows}]:
        told.append(f"no example of {', '.join(map(repr, unseen))} is left in {train.file.name} to learn from")
    kind = "classification" if labels else "other"
    task = Task(path.stem, kind, metric, labels, by_label=bool(labels))
    content = repr((task, [(split, [row.example for row in one.rows]) for split, one in tables.items()]))
    return OwnTask(path, task, said.input, tables, tuple(told), hashlib.sha256(content.encode()).hexdigest()[:16])


def _take_test(tables: dict[str, RowTable], said: OwnTaskFile, by_label: bool, told: list[str]) -> None:
    """Take test from train."""
    train = tables["train"]
    chosen = places_of_share(train.rows, said.test_share, (said.split_seed, _TEST), by_label)
    if not chosen:
        raise UserError(
            f"{train.file}: none of {len(train.rows)} examples can be test, for each input has several outputs; give "
            "test, a file of its own"
        )
    test = RowTable(train.file, [], [row for place, row in enumerate(train.rows) if place in chosen])
    train.rows = [row for place, row in enumerate(train.rows) if place not in chosen]
    tables["test"] = test
    told.append(
        f"{train.file.name}: split by seed {said.split_seed} into {len(train.rows)} examples to draw train and dev "
        f"from and {len(test.rows)} test"
    )


# Tables ------------------------------------------------------------------------------------------------------------


def _table(file: Path, said: OwnTaskFile, path: Path) -> RowTable:
    """The examples of a table, with the outputs as they stand there."""
    try:
        records = read_records(file, said.encoding)
    except UserError as error:
        raise UserError(str(error).replace("--encoding", f"encoding in {path.name}")) from None
    if not records.rows:
        raise UserError(f"{file} is empty; each record is an example")
    found = _objects(records, said, path) if records.kind == "json" else _named_cells(records, said, path)
    table = RowTable(file, [])
    empty = []
    for line, cells in found:
        at = FileRecord(line, {})
        texts = {name: "" if isinstance(cell, list) else as_text(file, at, name, cell) for name, cell in cells.items()}
        outputs = [said.output.of_cells(texts)]
        if said.output.is_cell and isinstance(several := cells[said.output.columns[0]], list):
            outputs = [as_text(file, at, said.output.columns[0], one) for one in several]
        if odd := [one for one in said.input.columns if isinstance(cells[one], list)]:
            raise UserError(f"{file}, line {line}: {odd[0]} must be a text or a number, not list")
        text = said.input.of_cells(texts)
        if text and not all(texts[one].strip() for one in said.input.columns):
            empty.append(line)
        table.take(line, text, outputs)
    if empty:
        table.told.append(f"a part of the input is empty: {lines(empty)}")
    return table.checked()


def _named_cells(records: FileRecords, said: OwnTaskFile, path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The cells of a table's records that the task takes, by column."""
    first = list(records.rows[0].cells)
    width, names = len(first), [str(name).strip() for name in first]
    wanted = tuple(dict.fromkeys([*said.input.columns, *said.output.columns]))
    header = said.header
    if header is None:
        header = any(in_header(name, names) for name in wanted) or not all(name.isdecimal() for name in wanted)
    places = {str(place): place - 1 for place in range(1, width + 1)}
    if header:
        places |= {name: names.index(name) for name in names}
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise UserError(f"{records.file} has two columns {twice[0]!r}; {path.name} takes one of them: rename it")
    there = names if header else list(places)
    _refuse_missing([name for name in wanted if name not in places], there, "column", records.file, said, path)
    rows = records.rows[1:] if header else records.rows
    if not rows:
        raise UserError(f"{records.file} holds a header alone; each line after it is an example")
    needed = max(places[name] for name in wanted)
    is_csv = records.kind == "csv"
    wrong = [row.line for row in rows if len(row.cells) <= needed or (is_csv and len(row.cells) > width)]
    if wrong:
        signs = "a comma or a line break" if is_csv else "a tab or a line break"
        raise UserError(
            f"{records.file}, {lines(wrong)}: not the {width} columns of the first line; a text with {signs} must be "
            "in quotes"
        )
    return [(row.line, {name: list(row.cells)[places[name]] for name in wanted}) for row in rows]


def _objects(records: FileRecords, said: OwnTaskFile, path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The values of JSON objects that the task takes, by key; one that an object does not have is nothing."""
    wanted = tuple(dict.fromkeys([*said.input.columns, *said.output.columns]))
    found: list[tuple[int, dict[str, Any]]] = []
    known: dict[str, None] = {}
    for record in records.rows:
        assert isinstance(record.cells, dict)
        cells = {**key_paths(record.cells), **record.cells}
        known |= dict.fromkeys(cells)
        found.append((record.line, {name: cells.get(name) for name in wanted}))
    _refuse_missing([name for name in wanted if name not in known], list(known), "key", records.file, said, path)
    return found


def _refuse_missing(
    missing: Sequence[str], there: Sequence[str], kind: str, file: Path, said: OwnTaskFile, path: Path
) -> None:
    """Complain of all columns that are not there."""
    if not missing:
        return
    takes = [name for name in ("input", "output") if set(missing) & set(getattr(said, name).columns)]
    raise UserError(
        f"{file} has no {kind}{'s' if len(missing) > 1 else ''} {_named(missing)}, which {' and '.join(takes)} in "
        f"{path} take{'' if len(takes) > 1 else 's'}; it has {_named(there)}{hint(missing[0], there)}"
    )


def _put_words(tables: Iterable[RowTable], words: Mapping[str, str], path: Path) -> None:
    """The label words in place of what stands in the tables."""
    told = []
    for table in tables:
        strange: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(table.rows):
            for output in row.example.targets:
                if output not in words:
                    strange[output].append(row.line)
            targets = tuple(words.get(output, "") for output in row.example.targets)
            table.rows[place] = replace(row, example=Example(row.input, targets))
        shown = [f"{output!r} ({lines(numbers)})" for output, numbers in list(strange.items())[:_SHOWN]]
        more = [f"{len(strange) - _SHOWN} more"] if len(strange) > _SHOWN else []
        if strange:
            told.append(f"{table.file}: {', '.join([*shown, *more])}")
            first = next(iter(strange))
            near = as_seen(first, words) or nearest(first, words)
    if told:
        raise UserError(f"{'; '.join(told)}: not among the labels of {path}; {near}")


def _named(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:_SHOWN] + ([f"{len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label!r} ({count})" for label, count in counts.items())
