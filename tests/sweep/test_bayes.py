"""Proposals by what came before."""

from __future__ import annotations

import sys

import pytest

from mpt.sweep.bayes import propose
from mpt.sweep.distributions import ParameterFile
from mpt.util.errors import UserError

RATES = {
    "inner": ParameterFile(distribution="log_uniform_values", min=1.0e-3, max=10.0).parameter(),
    "kind": ParameterFile(values=("a", "b")).parameter(),
    "steps": ParameterFile(values=(5, 1, 3)).parameter(),
}


def value(trial) -> float:
    """Best at 0.1, b and 5."""
    from math import log10

    return -((log10(trial["inner"]) + 1) ** 2) + (trial["kind"] == "b") + 0.2 * trial["steps"]


def test_without_the_library_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'meta-prompt-tuning\[bayes\]', .* pip install -e '\.\[bayes\]'"):
        propose(RATES, [], 13)


def test_proposals_are_new_repeatable_and_drawn_to_what_was_good():
    pytest.importorskip("optuna")
    history = []
    for _ in range(24):
        trial = propose(RATES, history, 13)
        assert trial == propose(RATES, history, 13)
        assert trial not in [values for values, _ in history]
        assert 1.0e-3 <= trial["inner"] <= 10 and trial["kind"] in "ab" and trial["steps"] in (1, 3, 5)
        history.append((trial, value(trial)))
    mean = lambda rows: sum(value for _, value in rows) / len(rows)  # noqa: E731
    assert mean(history[12:]) > mean(history[:6]) + 0.3


def test_when_all_has_been_tried_there_is_none():
    pytest.importorskip("optuna")
    few = {"kind": RATES["kind"]}
    assert propose(few, [({"kind": "a"}, 1.0), ({"kind": "b"}, None)], 13) is None
