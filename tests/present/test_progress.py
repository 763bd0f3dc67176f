"""Bars beside what else is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from mpt.present.progress import CountProgress
from mpt.present.terminal import console
with CountProgress(console(stderr={stderr}), "rows", 2) as progress:
    for row in (1, 2):
        print("row", row, flush=True)
        progress.told(row)
        print("warning", row, file=__import__("sys").stderr, flush=True)
"""


@pytest.mark.parametrize("bar", ["stdout", "stderr"])
def test_beside_a_bar_in_a_terminal_the_other_stream_goes_where_it_was_sent(bar, tmp_path):
    """As `mpt predict PROMPT FILE > answers.csv` typed in a terminal."""
    other = "stdout" if bar == "stderr" else "stderr"
    ours, theirs = os.openpty()
    script = SCRIPT.format(stderr=bar == "stderr")
    with Path(tmp_path / "file").open("w") as file:
        streams = {bar: theirs, other: file}
        ended = subprocess.run([sys.executable, "-c", script], **streams, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    told = {"stdout": "row 1\nrow 2\n", "stderr": "warning 1\nwarning 2\n"}
    assert ended.returncode == 0 and (tmp_path / "file").read_text() == told[other]
    assert told[bar].split("\n")[0] in shown and "2/2" in shown and told[other].split("\n")[0] not in shown
