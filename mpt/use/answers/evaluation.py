"""How good answers are: the task's metric with its interval, label by label, which labels are taken for which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from mpt.data.tables.rows import TaskRow
from mpt.metrics import by_name as metrics
from mpt.metrics.crossfit import number_of
from mpt.metrics.generation import Tokenize
from mpt.use.answers.calibration import calibration_error
from mpt.use.answers.predictor import Answer

_RESAMPLED = 1000
_LEVEL = 0.95
_SHARES = ("ACC", "EM")
_MEANS = ("QA-F1", "Rouge-L", metrics.SP_ROUGE)
"""Metrics that are means over the examples."""
_NUMBERS = ("Pearson-Correlation",)
OTHER = "(no label)"
"""What answers that are no label are counted under."""


@dataclass(frozen=True)
class LabelReport:
    """Of one label, or of all answers that are none.

    Attributes:
        precision: the share of right ones among its answers; NaN without any.
        recall: the share of its examples that were answered so; NaN without any.
        f1: their harmonic mean, as scikit-learn has it.
        examples: that have this label.
        answers: that are this label.
    """

    label: str
    precision: float
    recall: float
    f1: float
    examples: int
    answers: int


@dataclass(frozen=True)
class Evaluation:
    """What answers to labelled examples are worth.

    Attributes:
        metric: the task's, by CrossFit's name.
        score: of all examples.
        interval: of the score, 95 %: of a share of right ones (ACC, EM) Wilson's, else the percentiles of 1,000 draws
            of as many examples with replacement.
        examples: their number.
        labels: a report for each; empty for free text.
        confusion: how often a label (row) was answered by another (column), in the order of ``labels``, with those
            that are no label last.
        off_label: answers that are no label.
        calibration_error: of the answers' probabilities; None where there are none.
        not_numbers: answers that are no number, where the metric compares numbers; None where it does not.
    """

    metric: str
    score: float
    interval: tuple[float, float]
    examples: int
    labels: list[LabelReport]
    confusion: list[list[int]]
    off_label: int
    calibration_error: float | None
    not_numbers: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "metric": self.metric,
            "score": self.score,
            "interval_95": list(self.interval),
            "examples": self.examples,
            "off_label": self.off_label,
            "calibration_error": self.calibration_error,
            "not_numbers": self.not_numbers,
            "labels": {one.label: {k: _known(v) for k, v in vars(one).items() if k != "label"} for one in self.labels},
            "confusion": {"labels": [one.label for one in self.labels], "rows": self.confusion},
        }


def evaluate(
    rows: Sequence[TaskRow],
    answers: Sequence[Answer],
    metric: str,
    labels: Sequence[str],
    seed: int = 0,
    pieces: Tokenize | None = None,
) -> Evaluation:
    """Compare answers with what is right.

    Args:
        rows: B examples.
        answers: to each.
        metric: one of :data:`mpt.metrics.by_name.METRICS`.
        labels: of a classification; none for free text.
        seed: of the draws for the interval.
        pieces: see :func:`mpt.metrics.by_name.score`.
    """
    texts, references = [answer.text for answer in answers], [row.example.targets for row in rows]
    score = metrics.score(metric, texts, references, pieces)
    known = [*labels, *dict.fromkeys(row.output for row in rows if row.output not in labels)] if labels else []
    probabilities = [answer.probability for answer in answers if answer.probability is not None]
    error = None
    if len(probabilities) == len(rows):
        hits = [text in right for text, right in zip(texts, references, strict=True)]
        error = calibration_error(probabilities, hits)
    reports, confusion = _by_label([row.output for row in rows], texts, known)
    off = sum(text not in labels for text in texts) if labels else 0
    interval = _interval(metric, texts, references, seed, pieces)
    numberless = sum(math.isnan(number_of(text)) for text in texts) if metric in _NUMBERS else None
    return Evaluation(metric, score, interval, len(rows), reports, confusion, off, error, numberless)


def _by_label(gold: list[str], texts: list[str], labels: list[str]) -> tuple[list[LabelReport], list[list[int]]]:
    if not labels:
        return [], []
    told = [text if text in labels else OTHER for text in texts]
    names = [*labels, OTHER] if OTHER in told else labels
    pairs = Counter(zip(gold, told, strict=True))
    confusion = [[pairs[right, answer] for answer in names] for right in names]
    reports = []
    for at, name in enumerate(names):
        hit, examples, answers = confusion[at][at], sum(confusion[at]), sum(row[at] for row in confusion)
        precision, recall = (hit / count if count else float("nan") for count in (answers, examples))
        f1 = 2 * hit / (examples + answers) if examples + answers else float("nan")
        reports.append(LabelReport(name, precision, recall, f1, examples, answers))
    return reports, confusion


def _interval(
    metric: str, texts: list[str], references: list[tuple[str, ...]], seed: int, pieces: Tokenize | None
) -> tuple[float, float]:
    if metric in _SHARES:
        hits = round(metrics.score(metric, texts, references) * len(texts))
        low, high = binomtest(hits, len(texts)).proportion_ci(_LEVEL, method="wilson")
        return float(low), float(high)
    draw = np.random.default_rng(seed)
    places = (draw.integers(len(texts), size=len(texts)) for _ in range(_RESAMPLED))
    if metric in _MEANS:
        pairs = zip(texts, references, strict=True)
        own = np.array([metrics.score(metric, [text], [gold], pieces) for text, gold in pairs])
        scores = [own[place].mean() for place in places]
    else:
        chosen = (([texts[at] for at in place], [references[at] for at in place]) for place in places)
        scores = [metrics.score(metric, *both) for both in chosen]
    low, high = np.nanquantile(scores, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _known(value: Any) -> Any:
    return None if value != value else value
