"""A process's output in a file: of C too, and no pipe is waited for."""

from __future__ import annotations

import logging
import os

import pytest

from mpt.util.errors import UserError
from mpt.util.output import make_streams_take_all, output_to


def test_all_that_is_printed_is_appended(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    with pytest.raises(ValueError), output_to(log):
        os.write(1, b"said\n")
        os.write(2, b"of C\n")
        raise ValueError
    os.write(1, b"after\n")
    assert log.read_text().splitlines() == ["before", "said", "of C"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path.parent / "mine.txt")])
def test_a_pipe_a_folder_or_a_link_is_refused_at_once(put, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    put(tmp_path / "log.txt")
    with pytest.raises(UserError, match=r"log\.txt is a link, a folder or a pipe"), output_to(tmp_path / "log.txt"):
        pass
    os.write(1, b"after\n")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_terminal_obeys_no_warning(capsys):
    make_streams_take_all()
    record = logging.LogRecord("mpt", logging.WARNING, "", 0, "entry %s\nis left out", ("\x1b[2Jx",), None)
    logging.lastResort.handle(record)
    assert capsys.readouterr().err == "entry \\x1b[2Jx\nis left out\n"
