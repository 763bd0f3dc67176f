"""Several prompts as one: who wins, and with which share."""

from __future__ import annotations

import pytest

from mpt.use.answers.ensemble import ensemble
from mpt.use.answers.predictor import Answer


def weighed(**shares: float) -> Answer:
    best = max(shares, key=shares.__getitem__)
    return Answer(best, shares[best], shares)


def test_a_majority_and_the_mean_may_differ():
    three = [[weighed(a=0.6, b=0.4)], [weighed(a=0.55, b=0.45)], [weighed(a=0.05, b=0.95)]]
    (vote,), (mean,) = ensemble(three), ensemble(three, "mean")
    assert (vote.text, vote.probability, vote.probabilities) == ("a", 2 / 3, {"a": 2 / 3, "b": 1 / 3})
    assert mean.text == "b" and mean.probabilities == pytest.approx({"a": 0.4, "b": 0.6})


def test_equal_votes_go_to_the_likelier_label_or_the_first_prompts_text():
    (vote,) = ensemble([[weighed(a=0.6, b=0.4)], [weighed(a=0.1, b=0.9)]])
    assert vote.text == "b" and vote.probability == 0.5
    (written,) = ensemble([[Answer("x")], [Answer("y")], [Answer("y")], [Answer("x")]])
    # What is written has no probability, of which a calibration error would be told.
    assert (
        written == Answer("x")
        and written.probability is None
        and ensemble([[Answer("x")], [Answer("y")], [Answer("y")]])[0].text == "y"
    )
