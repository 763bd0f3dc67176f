"""A process's output in a file: of C too, and no pipe is waited for."""

from __future__ import annotations

import errno
import os

import pytest

from mpt.util.errors import system_mistake
from mpt.util.output import output_to


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
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "log.txt")
    with pytest.raises(OSError) as refused, output_to(tmp_path / "log.txt"):
        pass
    assert refused.value.errno == errno.ENXIO
    assert str(system_mistake(refused.value)).startswith(f"{tmp_path / 'log.txt'}: ")
