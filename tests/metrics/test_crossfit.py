"""The metrics against scikit-learn, scipy and rouge==1.0.0, and the rules where those give no number."""

import math
import random
import warnings

import pytest
from rouge import Rouge
from scipy.stats import pearsonr
from sklearn.metrics import f1_score, matthews_corrcoef
from torchmetrics.functional.text import squad

from mpt.metrics import crossfit as metrics
from mpt.metrics.crossfit import METRICS, average_relative_gain, relative_gain, relative_gains, score


def draws(count, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        yield rng, rng.randint(1, 40)


def one_each(golds):
    return [[gold] for gold in golds]


def test_the_seven_names_are_crossfits():
    assert set(METRICS) == {
        "ACC", "EM", "QA-F1", "Classification-F1", "Matthew-Correlation", "Pearson-Correlation", "Rouge-L",
    }  # fmt: skip


# Against scikit-learn and scipy


def test_classification_f1_is_scikit_learns_macro_f1_over_strings():
    for rng, n in draws(200):
        golds = rng.choices(["yes", "no", "maybe"], k=n)
        texts = rng.choices(["yes", "no", "maybe", "Yes", "", "yes no", "something else"], k=n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = f1_score(golds, texts, average="macro")
        assert score("Classification-F1", texts, one_each(golds)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.long
def test_em_and_qa_f1_are_squads_over_several_gold_answers():
    words = ["the", "a", "An", "old", "OLD.", "new-york", "new", "york", "o'clock", "...", "", "ü", "4"]
    compared = 0
    for rng, n in draws(300):
        texts = [" ".join(rng.choices(words, k=rng.randint(0, 4))).strip() for _ in range(n)]
        golds = [[" ".join(rng.choices(words, k=rng.randint(1, 4))).strip() or "x" for _ in range(3)] for _ in range(n)]
        # Where nothing is left of both sides SQuAD counts an F1 of 1 and CrossFit of 0 (see below).
        kept = [i for i in range(n) if metrics._normalise(texts[i]) or all(map(metrics._normalise, golds[i]))]
        if not kept:
            continue
        squads = squad(
            [{"id": str(i), "prediction_text": texts[i]} for i in kept],
            [{"id": str(i), "answers": {"text": golds[i], "answer_start": [0] * 3}} for i in kept],
        )
        texts, golds = [texts[i] for i in kept], [golds[i] for i in kept]
        assert 100 * score("EM", texts, golds) == pytest.approx(float(squads["exact_match"]), abs=1e-4)
        assert 100 * score("QA-F1", texts, golds) == pytest.approx(float(squads["f1"]), abs=1e-4)
        compared += len(kept)
    assert compared > 3000


@pytest.mark.long
@pytest.mark.parametrize("labels", [["yes", "no"], ["a", "b", "c", "d"]])
def test_matthews_is_scikit_learns_over_strings(labels):
    for rng, n in draws(200):
        golds = rng.choices(labels, k=n)
        texts = rng.choices([*labels, "none of them"], k=n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = matthews_corrcoef(golds, texts)
        assert score("Matthew-Correlation", texts, one_each(golds)) == pytest.approx(expected, abs=1e-12)


def test_matthews_counts_acceptable_or_not_where_that_is_a_gold_answer():
    for rng, n in draws(100):
        golds = ["acceptable", *rng.choices(["acceptable", "unacceptable"], k=n)]
        texts = rng.choices(["acceptable", "unacceptable", "what", ""], k=n + 1)
        expected = matthews_corrcoef([g == "acceptable" for g in golds], [t == "acceptable" for t in texts])
        assert score("Matthew-Correlation", texts, one_each(golds)) == pytest.approx(expected, abs=1e-12)


def test_pearson_is_scipys():
    for rng, n in draws(100):
        golds = [str(rng.randint(1, 5)) for _ in range(n)] + ["1", "2.5"]
        texts = [repr(rng.gauss(0, 1) * 10 ** rng.randint(-3, 3)) for _ in golds]
        expected = pearsonr([float(g) for g in golds], [float(t) for t in texts])[0]
        assert score("Pearson-Correlation", texts, one_each(golds)) == pytest.approx(expected, abs=1e-9)


def test_pearson_takes_a_generation_that_is_no_number_for_the_mean_of_the_others():
    texts = ["1", "two", "3", "nan", "7", "inf", "1e999"]
    golds = ["1", "2", "2.5", "4", "5", "1", "2"]
    mean = (1 + 3 + 7) / 3
    filled = [1, mean, 3, mean, 7, mean, mean]
    expected = pearsonr([float(g) for g in golds], filled)[0]
    assert score("Pearson-Correlation", texts, one_each(golds)) == pytest.approx(expected, abs=1e-12)


def test_answering_only_the_easy_ones_does_not_make_a_perfect_correlation():
    golds = ["1", "2", "3", "4", "5", "1", "2"]
    some = score("Pearson-Correlation", ["1", "?", "?", "?", "5", "?", "?"], one_each(golds))
    assert 0 < some < 0.9
    assert score("Pearson-Correlation", golds, one_each(golds)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("texts", "golds"),
    [
        (["bad", "good"], ["1", "2"]),
        (["0.1", "0.1", "0.1"], ["1", "2", "3"]),
        (["1", "2", "3"], ["0.1", "0.1", "0.1"]),
        (["5"], ["5"]),
        (["4", "x"], ["1", "2"]),
    ],
)
def test_pearson_is_zero_where_it_is_undefined(texts, golds):
    assert score("Pearson-Correlation", texts, one_each(golds)) == 0.0


def test_pearson_of_huge_numbers_is_finite():
    assert score("Pearson-Correlation", ["1e308", "1.7e308", "-1e300"], one_each(["2", "3", "1"])) > 0.9


def test_pearson_names_a_gold_answer_that_is_no_number():
    with pytest.raises(ValueError, match="'five' is not one"):
        score("Pearson-Correlation", ["1", "2"], [["1"], ["five"]])


# Against rouge==1.0.0


def test_rouge_l_is_rouge_1_0_0s():
    oracle = Rouge()
    words = ["a", "b", "c", "d", "e", "The", "cat,", ".", "a.b", "...", "e.g.", "ü", "-"]
    compared = 0
    for rng, _ in draws(400):
        text, gold = (" ".join(rng.choices(words, k=rng.randint(1, 14))) for _ in range(2))
        if not text.translate(metrics._PUNCTUATION) or not gold.replace(".", ""):
            continue
        expected = oracle.get_scores(text.strip(), gold.strip())[0]["rouge-l"]["f"]
        assert score("Rouge-L", [text], [[gold]]) == pytest.approx(expected, abs=1e-12), (text, gold)
        compared += 1
    assert compared > 350


def test_rouge_l_takes_the_best_gold_answer_and_the_mean_over_predictions():
    oracle = Rouge()
    texts = ["police kill the gunman", "the gunman kill police. It rained."]
    golds = [["police killed the gunman", "the gunman was shot"], ["the gunman police killed"]]
    best = [
        max(oracle.get_scores(text, gold)[0]["rouge-l"]["f"] for gold in answers)
        for text, answers in zip(texts, golds, strict=True)
    ]
    assert score("Rouge-L", texts, golds) == pytest.approx(sum(best) / 2, abs=1e-12)


def test_rouge_l_of_nothing_is_zero():
    assert score("Rouge-L", ["", "  ", "?!.", "word"], [["a word"], ["b"], ["c"], ["..."]]) == 0.0


@pytest.mark.long
def test_rouge_l_of_a_long_text_does_not_recurse():
    text = " ".join(f"w{i}" for i in range(1500))
    assert score("Rouge-L", [text], [[text]]) == pytest.approx(1.0)


# CrossFit's definitions, worked out by hand


def test_acc_ignores_case_and_outer_space_and_nothing_else():
    assert score("ACC", [" Entailment\n", "neutral."], [["entailment"], ["neutral"]]) == 0.5
    assert score("ACC", ["b"], [["a", "B"]]) == 1.0


def test_em_normalises_as_squad_does():
    assert score("EM", ["The  U.S.A", "another apple", "theme"], [["usa"], ["other apple"], ["me"]]) == pytest.approx(
        1 / 3
    )
    assert score("EM", ["a"], [["the"]]) == 1.0  # both are nothing once articles are gone: CrossFit's rule


def test_qa_f1_counts_words_with_repetition():
    # 2 of 3 generated words, 2 of 4 gold words.
    assert score("QA-F1", ["new new york"], [["new york new jersey"]]) == pytest.approx(2 * (1 * 0.75) / 1.75)
    assert score("QA-F1", ["blue blue red"], [["blue", "blue red green white"]]) == pytest.approx(4 / 7)
    assert score("QA-F1", ["the"], [["a"]]) == 0.0
    assert score("QA-F1", [""], [["word"]]) == 0.0


def test_blank_gold_answers_count_only_where_there_is_no_other():
    assert score("EM", [""], [["four", " "]]) == 0.0
    assert score("EM", [""], [[""]]) == 1.0


@pytest.mark.parametrize("metric", METRICS)
def test_what_cannot_be_scored_is_said(metric):
    with pytest.raises(ValueError, match="no predictions"):
        score(metric, [], [])
    with pytest.raises(ValueError, match="2 predictions cannot be scored against 1"):
        score(metric, ["1", "2"], [["1"]])
    with pytest.raises(ValueError, match="Prediction 2 has no gold answer"):
        score(metric, ["1", "2"], [["1"], []])
    with pytest.raises(ValueError, match="must be a list of texts"):
        score(metric, ["1"], ["1"])


def test_an_unknown_metric_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no metric 'F1'.*Classification-F1"):
        score("F1", ["a"], [["a"]])


# Relative gain


def test_relative_gain_and_its_average():
    assert relative_gain(0.75, 0.5) == 0.5
    assert relative_gain(0.25, 0.5) == -0.5
    assert average_relative_gain({"x": 0.75, "y": 0.25, "z": 0.5}, {"x": 0.5, "y": 0.5, "z": 0.5}) == 0.0


@pytest.mark.parametrize("pt", [0.0, -0.0, -0.2])
def test_a_relative_gain_over_nothing_is_undefined_and_stays_out_of_the_mean(pt):
    assert math.isnan(relative_gain(0.3, pt))
    scores, pt_scores = {"x": 0.75, "y": 0.3}, {"x": 0.5, "y": pt}
    gains = relative_gains(scores, pt_scores)
    assert gains["x"] == 0.5
    assert [task for task, gain in gains.items() if math.isnan(gain)] == ["y"]
    assert average_relative_gain(scores, pt_scores) == 0.5


def test_no_defined_gain_leaves_no_average():
    assert math.isnan(average_relative_gain({"x": 0.5}, {"x": 0.0}))


def test_gains_need_the_same_tasks_and_finite_scores():
    with pytest.raises(ValueError, match="only one has: y, z"):
        average_relative_gain({"x": 1.0, "y": 1.0}, {"x": 1.0, "z": 1.0})
    with pytest.raises(ValueError, match="no score"):
        average_relative_gain({}, {})
    with pytest.raises(ValueError, match="finite"):
        relative_gain(math.nan, 0.5)
