"""The picture of a sweep, and what is the best."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpt.present.terminal import console
from mpt.sweep import results
from mpt.sweep.results import as_options, best_of, draw, is_told_apart, show
from mpt.sweep.trial import TrialOutcome

BENCH: Any = SimpleNamespace(study=SimpleNamespace(baseline="PT"))


def trial(arg: float, trouble: str = "", **values) -> TrialOutcome:
    return TrialOutcome(values, str(values), arg, math.nan, {}, 1.0, trouble)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """What goes to the heatmap."""
    told = []
    monkeypatch.setattr(results, "draw_heatmap", lambda path, *rest: told.append(rest))

    def told_by(rows, beside=()):
        del told[:]
        draw(Path(tmp_path / "a.png"), "name", rows, beside, BENCH)
        return told[0] if told else None

    return told_by


def test_a_grid_has_a_field_for_each_pair_and_the_best_of_what_else_differs(drawn):
    rows = [
        trial(10 * a + b + (100 if kind == "x" else 0), a=a, b=b, kind=kind)
        for a in (2, 1)
        for b in (5, 7)
        for kind in "xy"
    ]
    up, along, values, *names, title = drawn(rows, ["the default +1.0"])
    assert (up, along, names) == ([1, 2], [5, 7], ["a", "b"])
    assert values == [[115, 117], [125, 127]]
    assert "the best trial of each field" in title and title.endswith("\nnot in it: the default +1.0")


def test_a_failed_trial_leaves_its_field_empty(drawn):
    rows = [trial(a + b, "" if (a, b) != (1, 7) else "it diverged", a=a, b=b) for a in (1, 2) for b in (5, 7)]
    (low, high) = drawn(rows)[2]
    assert low[0] == 6 and math.isnan(low[1]) and high == [7, 9]


def test_draws_are_gathered_in_ranges_that_hold_them(drawn):
    rows = [trial(i, a=10 ** (-i / 10), b=0.5 + (i * 7 % 32) / 32) for i in range(32)]
    up, along, values, *_ = drawn(rows)
    assert len(up) == len(along) == 4 and up[0].startswith("0.00079 to") and along[-1].endswith("to 1.5")
    shown = [value for line in values for value in line if not math.isnan(value)]
    assert max(shown) == 31 and max(values[0]) == 31  # the smallest a is in the lowest row


def test_one_rate_makes_no_picture(drawn):
    assert drawn([trial(1, a=1, b=5), trial(2, a=2, b=5)]) is None
    assert drawn([trial(1, a=1, b="x"), trial(2, a=2, b="y")]) is None


def test_the_best_is_the_first_of_the_highest_that_have_arg():
    rows = [trial(1, a=1), trial(math.nan, "it diverged", a=2), trial(3, a=3e-05, b="x"), trial(3, a=4)]
    assert best_of(rows) is rows[2] and best_of(rows[1:2]) is None
    assert as_options(rows[2].values) == "--a=3e-05 --b=x"
    assert shlex.split(as_options({"a": ["x", "y"], "b": "c d"})) == ['--a=["x", "y"]', "--b=c d"]


def test_what_is_said_of_a_trial_is_shown_as_it_is(capsys):
    row = {
        "x": 1,
        "arg": None,
        "arg_std": None,
        "seconds": 2.0,
        "note": "shape [batch, rows] of [/tmp/a.yaml] is wrong",
    }
    show(console(), "[/sweep]", list(row), [list(row.values())], ["x"])
    told = capsys.readouterr().out
    assert row["note"] in told and "[/sweep]" in told


@pytest.mark.parametrize(
    ("best", "next_one", "told"),
    [
        ((13.4, 19.7), (-3.2, 3.8), False),
        ((13.4, 3.8), (-3.2, 19.7), False),
        ((13.4, 3.8), (-3.2, 3.8), True),
        ((13.4, math.nan), (-3.2, math.nan), True),  # one draw, which has no deviation
        ((0.0, math.nan), (0.0, math.nan), False),
    ],
)
def test_a_lead_within_the_deviation_over_draws_tells_nothing_apart(best, next_one, told):
    rows = [replace(trial(arg, x=number), std=std) for number, (arg, std) in enumerate((next_one, best))]
    assert is_told_apart(rows[1], rows) == told
    assert is_told_apart(rows[1], [*rows, replace(trial(math.nan, "failed", x=3))]) == told
    assert is_told_apart(rows[1], rows[1:])
