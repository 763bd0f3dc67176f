"""CrossFit's seven metrics, relative gain and its average over tasks (ARG), as pure functions.

Every metric takes the generated texts and, for each, all its gold answers, and returns one number: a fraction
in [0, 1], or a correlation in [-1, 1]. The definitions are those of CrossFit (Ye et al. 2021), so that scores
compare with published ones; where CrossFit's own code gives no number (NaN), the function's docstring says
which rule holds here.

Texts are compared without the white space around them. Blank gold answers are ignored where there are others.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Predictions = Sequence[str]
References = Sequence[Sequence[str]]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")

# The one task that CrossFit scores by Matthews' correlation, glue-cola, names its positive class so.
_POSITIVE = "acceptable"


def accuracy(predictions: Predictions, references: References) -> float:
    """ACC: the share of predictions equal, but for case, to one of their gold answers.

    >>> accuracy(["Yes", "no!"], [["yes"], ["no"]])
    0.5
    """
    return _mean_of_best(lambda text, gold: float(text.lower() == gold.lower()), predictions, references)


def exact_match(predictions: Predictions, references: References) -> float:
    """EM: the share of predictions equal to a gold answer after SQuAD's normalisation.

    The normalisation lowers the case, removes ASCII punctuation, then the articles a, an, the, then spare
    white space.

    >>> exact_match(["The Eiffel tower."], [["Eiffel Tower", "tour Eiffel"]])
    1.0
    """
    return _mean_of_best(lambda text, gold: float(_normalise(text) == _normalise(gold)), predictions, references)


def qa_f1(predictions: Predictions, references: References) -> float:
    """QA-F1: mean F1 of the bags of normalised words (see :func:`exact_match`), the best over the gold
    answers.

    >>> qa_f1(["in Paris, France"], [["Paris"]])
    0.5
    """
    return _mean_of_best(_bag_f1, predictions, references)


def classification_f1(predictions: Predictions, references: References) -> float:
    """Classification-F1: macro F1 over strings, equal to scikit-learn's ``f1_score(average="macro")``.

    The classes are all strings that occur, gold or generated: a generated text that is no label is a class of
    its own, with an F1 of zero, and so lowers the mean. Case counts. The first gold answer is the truth.

    >>> classification_f1(["a", "b", "b"], [["a"], ["b"], ["a"]])
    0.6666666666666666
    >>> classification_f1(["a", "b", "bb"], [["a"], ["b"], ["a"]])
    0.5555555555555555
    """
    texts, golds = _first_of(predictions, references)
    predicted, true = Counter(texts), Counter(golds)
    hits = Counter(text for text, gold in zip(texts, golds, strict=True) if text == gold)
    classes = sorted(predicted.keys() | true.keys())
    return float(np.mean([2 * hits[name] / (predicted[name] + true[name]) for name in classes]))


def matthews_correlation(predictions: Predictions, references: References) -> float:
    """Matthew-Correlation: Matthews' coefficient over strings, equal to scikit-learn's ``matthews_corrcoef``.

    CrossFit scores one task by it, glue-cola, and counts every text as either "acceptable" or not. So where
    that word is among the gold answers, this does the same; elsewhere each string is a class of its own, as
    for :func:`classification_f1`. Where either side has a single class, the coefficient is undefined and 0 is
    returned.

    >>> matthews_correlation(["acceptable", "what?"], [["acceptable"], ["unacceptable"]])
    1.0
    >>> matthews_correlation(["yes", "yes"], [["yes"], ["no"]])
    0.0
    """
    texts, golds = _first_of(predictions, references)
    if _POSITIVE in golds:
        texts = [str(text == _POSITIVE) for text in texts]
        golds = [str(gold == _POSITIVE) for gold in golds]
    predicted, true = Counter(texts), Counter(golds)
    n = len(golds)
    hits = sum(text == gold for text, gold in zip(texts, golds, strict=True))
    # Gorodkin's K-class form, in counts: (hits n - sum p t) / sqrt((n^2 - sum p^2) (n^2 - sum t^2)).
    covariance = hits * n - sum(predicted[name] * true[name] for name in true)
    spread = (n * n - sum(c * c for c in predicted.values())) * (n * n - sum(c * c for c in true.values()))
    return covariance / math.sqrt(spread) if spread else 0.0


def pearson_correlation(predictions: Predictions, references: References) -> float:
    """Pearson-Correlation between the generated numbers and the first gold answers: scipy's ``pearsonr``.

    CrossFit reports NaN as soon as one generation is not a finite number. Here such a generation stands for
    the mean of those that are: it says nothing about its gold answer, adds nothing to the covariance, and so
    pulls the coefficient towards 0 in proportion to the spread of the gold answers it leaves unexplained.
    (Leaving it out instead would give 1 to a model that answers the two easiest inputs.) Where either side
    does not vary, or nothing generated is a number, the coefficient is undefined and 0 is returned.

    Raises:
        ValueError: a gold answer is not a number.

    >>> round(pearson_correlation(["1", "2", "3"], [["1"], ["2"], ["3"]]), 6)
    1.0
    >>> round(pearson_correlation(["1", "dunno", "3"], [["1"], ["5"], ["3"]]), 6)
    0.5
    >>> pearson_correlation(["good", "bad"], [["1"], ["5"]])
    0.0
    """
    texts, golds = _first_of(predictions, references)
    y = np.array([number_of(gold) for gold in golds])
    if np.isnan(y).any():
        bad = golds[int(np.isnan(y).argmax())]
        raise ValueError(f"Pearson-Correlation needs gold answers that are numbers, and {bad!r} is not one.")
    x = np.array([number_of(text) for text in texts])
    known = ~np.isnan(x)
    # Constant sides are told by their values: a spread of 1e-17 left by rounding would give any coefficient.
    if not known.any() or x[known].min() == x[known].max() or y.min() == y.max():
        return 0.0
    # Scaled to [-1, 1] before summing and squaring, since a model may well generate 1e200.
    x, y = x / np.abs(x[known]).max(), y / np.abs(y).max()
    x[~known] = x[known].mean()
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.clip(x @ y / spread, -1.0, 1.0)) if spread else 0.0


def rouge_l(predictions: Predictions, references: References) -> float:
    """Rouge-L: summary-level F of longest common subsequences, the best over the gold answers.

    Equal to ``rouge==1.0.0``, the release that CrossFit pins (1.0.1 and other packages give other numbers). A
    text is split into sentences at full stops and into words at white space, as it stands. With U the set of
    words in the longest common subsequence of any gold and any generated sentence, R = |U| / |set of gold
    words|, P = |U| / |set of generated words|, F = 2 P R / (P + R + 1e-8). A generation without anything but
    punctuation scores 0, and so does one against a gold answer of full stops alone, for which the package has
    no answer.

    >>> round(rouge_l(["the cat sat"], [["a dog", "the cat slept"]]), 4)
    0.6667
    """
    return _mean_of_best(_rouge_l, predictions, references)


METRICS: Mapping[str, Callable[[Predictions, References], float]] = {
    "ACC": accuracy,
    "EM": exact_match,
    "QA-F1": qa_f1,
    "Classification-F1": classification_f1,
    "Matthew-Correlation": matthews_correlation,
    "Pearson-Correlation": pearson_correlation,
    "Rouge-L": rouge_l,
}
"""CrossFit's names for its metrics."""


def score(metric: str, predictions: Predictions, references: References) -> float:
    """The metric of that name, one of :data:`METRICS`.

    Args:
        metric: CrossFit's name.
        predictions: N generated texts.
        references: for each of them, one gold answer or several.

    Raises:
        ValueError: an unknown metric, no predictions, or predictions and references that do not match.

    >>> score("EM", ["four"], [["4", "four"]])
    1.0
    """
    if metric not in METRICS:
        raise ValueError(f"There is no metric {metric!r}: the metrics are {', '.join(METRICS)}.")
    return METRICS[metric](predictions, references)


def is_right(metric: str, text: str, gold: str) -> bool:
    """Whether a text is as good as a gold answer to a metric: all that it compares of the two is equal.

    Raises:
        ValueError: an unknown metric.

    >>> is_right("EM", "eiffel tower", "The Eiffel Tower."), is_right("Classification-F1", "yes", "Yes")
    (True, False)
    """
    if metric not in METRICS:
        raise ValueError(f"There is no metric {metric!r}: the metrics are {', '.join(METRICS)}.")
    text, gold = text.strip(), gold.strip()
    if metric in _COMPARED and text != gold:
        return bool(_COMPARED[metric](text) == _COMPARED[metric](gold))
    return text == gold


def relative_gain(score: float, pt_score: float) -> float:
    """(score - pt_score) / pt_score, as a fraction: how much better than prompt tuning (PT), relative to it.

    Undefined, hence NaN, where PT scores zero or less. At zero the ratio is infinite, and under a negative
    correlation its sign is wrong (an improvement would count as a loss); no finite stand-in would be more
    than an invention.

    Raises:
        ValueError: a score is not a finite number.

    >>> relative_gain(0.6, 0.5)
    0.19999999999999996
    >>> relative_gain(0.6, 0.0)
    nan
    """
    for value in (score, pt_score):
        if not math.isfinite(value):
            raise ValueError(f"A relative gain needs finite scores, not {value}.")
    return (score - pt_score) / pt_score if pt_score > 0 else math.nan


def relative_gains(scores: Mapping[str, float], pt_scores: Mapping[str, float]) -> dict[str, float]:
    """Relative gain of each target task, NaN where it is undefined: see :func:`relative_gain`.

    Raises:
        ValueError: the two do not hold the same tasks, or hold none.

    >>> relative_gains({"a": 0.75, "b": 0.5}, {"a": 0.5, "b": 0.0})
    {'a': 0.5, 'b': nan}
    """
    if not scores:
        raise ValueError("There is no score to take a relative gain of.")
    if scores.keys() != pt_scores.keys():
        lone = ", ".join(sorted(scores.keys() ^ pt_scores.keys()))
        raise ValueError(f"Relative gains need a method's score and PT's on the same tasks; only one has: {lone}.")
    return {task: relative_gain(scores[task], pt_scores[task]) for task in scores}


def average_relative_gain(scores: Mapping[str, float], pt_scores: Mapping[str, float]) -> float:
    """ARG: the mean over the target tasks of the relative gain, as a fraction (Qin et al. 2023, section 4.2).

    A task whose relative gain is undefined (PT at zero or below) is left out of the mean: an infinity would
    decide it alone. :func:`relative_gains` tells which those are, so that a report can say how many tasks a
    mean stands on. NaN where no task is left.

    >>> average_relative_gain({"a": 0.75, "b": 0.45, "c": 0.5}, {"a": 0.5, "b": 0.5, "c": 0.0})
    0.2
    """
    defined = [gain for gain in relative_gains(scores, pt_scores).values() if not math.isnan(gain)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def paired(predictions: Predictions, references: References) -> list[tuple[str, list[str]]]:
    """Each prediction with its gold answers, stripped, and blank answers dropped where there are others.

    Raises:
        ValueError: no predictions, not as many references, or one without gold answers.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions cannot be scored against {len(references)} references.")
    if not len(predictions):
        raise ValueError("There are no predictions to score.")
    pairs = []
    for number, (text, golds) in enumerate(zip(predictions, references, strict=True), start=1):
        if isinstance(golds, str):
            raise ValueError(
                f"The gold answers of prediction {number} must be a list of texts, not the text {golds!r}."
            )
        if not golds:
            raise ValueError(f"Prediction {number} has no gold answer.")
        stripped = [gold.strip() for gold in golds]
        pairs.append((text.strip(), [gold for gold in stripped if gold] or stripped[:1]))
    return pairs


def _mean_of_best(compare: Callable[[str, str], float], predictions: Predictions, references: References) -> float:
    pairs = paired(predictions, references)
    return math.fsum(max(compare(text, gold) for gold in golds) for text, golds in pairs) / len(pairs)


def _first_of(predictions: Predictions, references: References) -> tuple[list[str], list[str]]:
    pairs = paired(predictions, references)
    return [text for text, _ in pairs], [golds[0] for _, golds in pairs]


def _normalise(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _bag_f1(text: str, gold: str) -> float:
    predicted, true = Counter(_normalise(text).split()), Counter(_normalise(gold).split())
    common = (predicted & true).total()
    return 2 * common / (predicted.total() + true.total()) if common else 0.0


def number_of(text: str) -> float:
    """The finite number that a text spells, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _rouge_l(text: str, gold: str) -> float:
    if not text.translate(_PUNCTUATION):
        return 0.0
    predicted, true = _sentences(text), _sentences(gold)
    if not true:
        return 0.0
    union: set[str] = set()
    for gold_words in true:
        for words in predicted:
            union |= _common_words(gold_words, words)
    precision = len(union) / len(set().union(*predicted))
    recall = len(union) / len(set().union(*true))
    return 2.0 * (precision * recall / (precision + recall + 1e-8))


def _sentences(text: str) -> list[list[str]]:
    # A sentence of white space between two full stops counts as one empty word there, so it does here.
    return [sentence.split() or [""] for sentence in text.split(".") if sentence]


def _common_words(x: list[str], y: list[str]) -> set[str]:
    """The words of one longest common subsequence of x and y.

    Several subsequences may be longest, and they may hold different numbers of distinct words; which one is
    taken (towards the start of y where both ways are as long) is part of what makes the figures equal to the
    package's.
    """
    table = [[0] * (len(y) + 1)]
    for word in x:
        above, row = table[-1], [0]
        for j, other in enumerate(y):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[j]))
        table.append(row)
    words = set()
    i, j = len(x), len(y)
    while i and j:
        if x[i - 1] == y[j - 1]:
            words.add(x[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return words


_COMPARED: Mapping[str, Callable[[str], object]] = {
    "ACC": str.lower,
    "EM": _normalise,
    "QA-F1": lambda text: Counter(_normalise(text).split()),
    "Pearson-Correlation": number_of,
    "Rouge-L": _sentences,
}
"""What a metric looks at of a text; the others look at all of it."""
