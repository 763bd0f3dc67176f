"""What a terminal is told."""

from __future__ import annotations

import io
import re

import pytest

from mpt.present.table import Table
from mpt.present.terminal import console, duration, print_table


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0034, "3 ms"),
        (4.25, "4.2 s"),
        (42.0, "42 s"),
        (130.0, "2 min"),
        (3 * 3600 + 1200, "3 h 20 min"),
        (864_000.0, "10 days"),
    ],
)
def test_durations(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize("name", ["[/x]", "[bold]b", ":cat:"])
def test_a_name_that_would_be_markup_or_an_emoji_is_shown_in_every_part_of_a_table(name):
    terminal = console(file=io.StringIO(), force_terminal=True, width=100)
    print_table(terminal, Table([name, name], [[name, name]], texts=1), f"{name} and more")
    assert terminal.file.getvalue().count(name) == 5


def test_a_label_that_would_be_an_emoji_is_shown_in_a_line():
    terminal = console(file=io.StringIO())
    terminal.print("2 rows: ':cat:' 2")
    assert terminal.file.getvalue() == "2 rows: ':cat:' 2\n"


def test_what_a_terminal_would_obey_is_shown():
    terminal = console(file=io.StringIO(), markup=False, force_terminal=True, width=100)
    terminal.print("a\x1b[2Jb\x9bc", style="red")
    print_table(terminal, Table(["task\x1b[1m"], [["x\x1b]0;title"], ["y\u202ez"]], texts=1), "title\x1b[5m")
    told = terminal.file.getvalue()
    assert set(re.findall(r"\x1b\[[\d;]*(.)", told)) == {"m"} and "\x1b[5m" not in told
    assert "a\\x1b[2Jb\\x9bc" in told and "x\\x1b]0;title" in told and "y\\u202ez" in told and "task\\x1b[1m" in told
