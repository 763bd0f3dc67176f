"""A file of any number of rows and of different answers: what is kept of it stays small."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from support.bad_input import at_most

from mpt.data.tables.texts import TextRow
from mpt.use.answers import predict_file as module
from mpt.use.answers.predict_file import predict_file
from mpt.use.answers.predictor import Answer
from mpt.util.errors import UserError

ROWS = 5000


@pytest.fixture
def rows():
    texts = [TextRow(line, {}, f"text {line}") for line in range(ROWS)]
    return SimpleNamespace(
        table=SimpleNamespace(rows=lambda: iter(texts)), head=str, row=lambda row, answer: f"{answer.text}\n"
    )


def test_free_answers_are_counted_up_to_a_bound_and_the_work_goes_on(rows, tmp_path):
    sizes = []

    def answer(part, stop_at=None):
        if (state := tmp_path / ".out.predicting" / "state.json").exists():
            sizes.append(state.stat().st_size)
        if part[0].line == stop_at:
            raise KeyboardInterrupt
        # Half of the answers are one and the same, the others all different.
        return [Answer("same" if row.line % 2 else row.text) for row in part]

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        predict_file(rows, lambda part: answer(part, 256 * 10), out, "digest", lambda rows: None)
    state = json.loads((tmp_path / ".out.predicting" / "state.json").read_text())
    assert state["rows"] == 2560 and len(state["counts"]) == module._COUNTED
    done, before = predict_file(rows, answer, out, "digest", lambda rows: None)
    assert (done.rows, before) == (ROWS, 2560)
    assert done.counts["same"] == ROWS // 2 and sum(done.counts.values()) + done.uncounted == ROWS
    assert out.read_text().splitlines() == ["same" if line % 2 else f"text {line}" for line in range(ROWS)]
    assert max(sizes) < 40 * module._COUNTED


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("rows", lambda path: path.symlink_to("../precious/file")),
        ("rows", os.mkfifo),
        (".", lambda path: path.symlink_to("precious")),
    ],
    ids=["a link to a file", "a pipe", "a link to a folder"],
)
def test_what_a_stranger_put_where_the_work_lies_is_neither_written_nor_waited_for(rows, name, make, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    work = tmp_path / ".out.predicting"
    if name == "rows":
        work.mkdir()
    make(work / name if name == "rows" else work)
    with at_most(5), pytest.raises(UserError, match=r"\.out\.predicting.* is a link"):
        predict_file(rows, lambda part: [Answer("")] * len(part), tmp_path / "out", "digest", lambda rows: None)
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]
    assert (tmp_path / "precious" / "file").read_text() == "kept" and not (tmp_path / "out").exists()
