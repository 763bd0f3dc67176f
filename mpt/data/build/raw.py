"""Raw files already on disk: a task's whole training pool and test list in CrossFit's line format.

A folder holds ``<task>.train.tsv`` and ``<task>.test.tsv`` in UTF-8. A line feed alone ends a line, the first tab of
a record ends its input. A line without a tab begins a record that holds a line break.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError
from mpt.util.reading import lines_of, open_file

SPLITS = ("train", "test")


def raw_files(folder: Path, task: str) -> tuple[Path, Path]:
    """The train and the test file of a task."""
    files = [folder / f"{task}.{split}.tsv" for split in SPLITS]
    if not any(file.is_file() for file in files):
        # Without the task's name: many tasks may lack their files, and say so together.
        raise UserError(f"its raw files <task>.train.tsv and <task>.test.tsv are not in {folder}.")
    for file in files:
        if not file.is_file():
            raise UserError(f"There is no raw file {file}.")
    return files[0], files[1]


def raw_tasks(folder: Path) -> list[str]:
    """The names before ``.train.tsv`` and ``.test.tsv`` in a folder."""
    ends = tuple(f".{split}.tsv" for split in SPLITS)
    names = (path.name for path in folder.iterdir() if path.is_file())
    return sorted({name.removesuffix(end) for name in names for end in ends if name.endswith(end)})


def raw_records(path: Path, task: Task) -> Iterator[Record]:
    """The records of one raw file, in its order; written out again they give the same bytes.

    Raises:
        UserError: the file cannot be read, is cut off, begins with a byte order mark, or has a line that is not
            UTF-8 or whose output is not one of the task's labels; by file and line.
    """
    labels = {word: word for word in task.labels} if task.by_label else {}
    begun, number, carriage_returns = "", 0, True
    try:
        with open_file(path) as file:
            for number, line in enumerate(lines_of(file), start=1):
                if not line.endswith(b"\n"):
                    raise UserError(f"{path} looks cut off: line {number}, its last, does not end with a line feed.")
                try:
                    text = begun + line[:-1].decode("utf-8")
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{path}, line {number} is not UTF-8: {error.reason} at byte {error.start}."
                    ) from None
                if number == 1 and text.startswith("\ufeff"):
                    raise UserError(f"{path} begins with a byte order mark; save it as UTF-8 without one.")
                if "\0" in text:
                    raise UserError(f"{path}, line {number} holds a null byte, which no task's file can.")
                input, tab, output = text.partition("\t")
                if not tab:
                    begun = text + "\n"
                    continue
                begun = ""
                carriage_returns &= output.endswith("\r")
                if labels and output not in labels:
                    if output.removesuffix("\r") in labels:
                        raise _windows(path)
                    raise UserError(
                        f"{path}, line {number} has the output {output!r}; {task.name} knows {', '.join(labels)}."
                    )
                yield Record(input, labels.get(output, output))  # one string a label saves memory
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    if begun:
        raise UserError(f"{path} looks cut off: line {number}, its last, has no tab and so no output.")
    if number == 0:
        raise UserError(f"{path} is empty.")
    if carriage_returns:
        raise _windows(path)


def _windows(path: Path) -> UserError:
    return UserError(f"{path} has Windows line ends (CR LF); save it with line feeds alone.")
