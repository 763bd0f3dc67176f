"""The report against scikit-learn, and its interval against Wilson's formula."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mpt.data.tables.rows import TaskRow
from mpt.data.tasks.task import Example
from mpt.use.answers.evaluation import OTHER, evaluate
from mpt.use.answers.predictor import Answer

LABELS = ["a", "b", "c"]


def rows(gold):
    return [TaskRow(line, Example("text", (label,))) for line, label in enumerate(gold, start=1)]


def test_the_report_is_scikit_learns():
    draw = np.random.default_rng(1)
    gold, told = draw.choice(LABELS, 80).tolist(), draw.choice([*LABELS, "d", "e"], 80).tolist()
    found = evaluate(rows(gold), [Answer(text) for text in told], "Classification-F1", LABELS)
    names = [*LABELS, OTHER]
    seen = [text if text in LABELS else OTHER for text in told]
    assert np.array_equal(found.confusion, confusion_matrix(gold, seen, labels=names))
    theirs = precision_recall_fscore_support(gold, seen, labels=LABELS, zero_division=np.nan)
    ours = [[one.precision, one.recall, one.f1, one.examples] for one in found.labels[:3]]
    assert np.allclose(np.array(ours).T, theirs)
    assert found.off_label == sum(text in "de" for text in told) and found.labels[-1].label == OTHER
    assert found.interval[0] < found.score < found.interval[1] and found.calibration_error is None
    json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_a_share_has_wilsons_interval():
    found = evaluate(rows(["a"] * 10), [Answer("a")] * 10, "ACC", LABELS)
    z = 1.959963984540054
    assert found.score == 1 and found.interval == pytest.approx((10 / (10 + z**2), 1.0))


def test_answers_that_are_no_number_are_counted():
    rows = [TaskRow(at, Example("x", (str(at),))) for at in range(4)]
    found = evaluate(rows, [Answer(text) for text in ("1", "bun", "nan", "2.5")], "Pearson-Correlation", ())
    assert found.not_numbers == found.as_json()["not_numbers"] == 2
    assert evaluate(rows, [Answer("1")] * 4, "EM", ()).not_numbers is None


def test_probabilities_are_judged():
    answers = [Answer("a", 0.9, {}), Answer("b", 0.7, {})]
    assert evaluate(rows(["a", "a"]), answers, "ACC", LABELS).calibration_error == pytest.approx((0.1 + 0.7) / 2)


def test_free_texts_have_a_score_alone():
    found = evaluate(rows(["the cat sat", "a dog"]), [Answer("the cat"), Answer("a dog")], "Rouge-L", [])
    assert found.labels == found.confusion == [] and 0 < found.score < 1
