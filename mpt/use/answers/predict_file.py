"""Answers to a whole file, of any size: part by part, so that work that was stopped goes on."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO

from mpt.data.tables.texts import TextRow
from mpt.use.answers.answer_rows import AnswerRows
from mpt.use.answers.predictor import Answer
from mpt.util.errors import UserError
from mpt.util.files import at_work, write_json
from mpt.util.places import open_own
from mpt.util.reading import read_json

Answering = Callable[[Sequence[TextRow]], Sequence[Answer]]
"""From rows with texts to their answers."""

_PART = 256
_COUNTED = 256
"""Different answers that are counted: more than a task has labels, while of free text there may be millions."""
_STATE, _ROWS = "state.json", "rows"


@dataclass
class Predicted:
    """What is done so far.

    Attributes:
        rows: of the file.
        blank: of these, without a text, and so without an answer.
        counts: of the answers, the first so many different ones.
        uncounted: rows whose answers came after these.
    """

    rows: int = 0
    blank: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    uncounted: int = 0

    def count(self, answer: str) -> None:
        """A row has an answer."""
        if answer in self.counts or len(self.counts) < _COUNTED:
            self.counts[answer] += 1
        else:
            self.uncounted += 1


def predict_rows(rows: AnswerRows, answer: Answering, file: TextIO, told: Callable[[int], None]) -> Predicted:
    """Write the answers to a table's rows to an open file, as they come.

    Args:
        rows: the table, and how it is written.
        answer: to rows that have a text.
        told: called after every part, with the number of rows done.
    """
    file.write(rows.head())
    done = Predicted()
    for text in _parts(rows, answer, done):
        file.write(text)
        told(done.rows)
    return done


def predict_file(
    rows: AnswerRows, answer: Answering, out: Path, digest: str, told: Callable[[int], None]
) -> tuple[Predicted, int]:
    """Write the answers to a table's rows to a file, which is there when it is whole.

    Until then what is done lies beside it, in a hidden folder, from which the same work goes on.

    Args:
        rows, answer, told: see :func:`predict_rows`.
        out: the file; new.
        digest: of all that the answers depend on.

    Returns:
        What was done, and how many rows of it before.

    Raises:
        UserError: another process writes it, it cannot be written, or what lies beside it is no work of ours.
    """
    work = out.with_name(f".{out.name}.predicting")
    with at_work(work, f"another mpt predict is at work on {out}; wait for it, or name another --out"):
        done, place = _before(work, digest)
        before = done.rows
        try:
            with os.fdopen(open_own(work / _ROWS), "r+", encoding="utf-8", newline="") as file:
                file.seek(place)
                file.truncate()
                if not place:
                    file.write(rows.head())
                for text in _parts(rows, answer, done):
                    file.write(text)
                    file.flush()
                    write_json(work / _STATE, {"digest": digest, "bytes": file.tell(), **vars(done)})
                    told(done.rows)
            os.replace(work / _ROWS, out)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}; the same command goes on") from error
        shutil.rmtree(work, ignore_errors=True)
    return done, before


def _parts(rows: AnswerRows, answer: Answering, done: Predicted) -> Iterator[str]:
    """The lines of each part of the rows that are not done yet; counted as done when they are given."""
    left = islice(rows.table.rows(), done.rows, None)
    while part := list(islice(left, _PART)):
        texts = [row for row in part if row.text.strip()]
        found = dict(zip((row.line for row in texts), answer(texts), strict=True))
        done.rows += len(part)
        done.blank += len(part) - len(texts)
        for one in found.values():
            done.count(one.text)
        yield "".join(rows.row(row, found.get(row.line, Answer(""))) for row in part)


def _before(work: Path, digest: str) -> tuple[Predicted, int]:
    """What is done of this very work, and where its rows end; nothing of another's."""
    try:
        state = read_json(work / _STATE)
        if state["digest"] == digest and (work / _ROWS).stat().st_size >= state["bytes"] > 0:
            rows, blank, uncounted = (int(state[name]) for name in ("rows", "blank", "uncounted"))
            return Predicted(rows, blank, Counter(state["counts"]), uncounted), int(state["bytes"])
    except (UserError, OSError, KeyError, TypeError, ValueError):
        pass
    return Predicted(), 0
