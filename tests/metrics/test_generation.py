"""SP-ROUGE against rouge-score and by hand, languages against CLD3 itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gcld3
import pytest
from rouge_score.rouge_scorer import RougeScorer
from tokenizers import Tokenizer, models, pre_tokenizers

from mpt.metrics.generation import ascii_share, empty_share, language_confidence, named, sp_rouge

TEXTS = {
    "ar": "عاصمة فرنسا هي باريس وهي مدينة كبيرة",
    "de": "Die Hauptstadt von Frankreich ist eine große Stadt",
    "el": "Η πρωτεύουσα της Γαλλίας είναι μια μεγάλη πόλη",
    "en": "The capital of France is a large city by the river",
    "es": "La capital de Francia es una ciudad muy grande",
    "hi": "फ्रांस की राजधानी एक बहुत बड़ा शहर है",
    "ja": "フランスの首都はとても大きな都市です",
    "ro": "Capitala Franței este un oraș foarte mare și frumos",
    "ru": "Столица Франции это очень большой город на реке",
    "th": "เมืองหลวงของฝรั่งเศสเป็นเมืองที่ใหญ่มาก",
    "tr": "Fransa'nın başkenti çok büyük ve güzel bir şehirdir",
    "vi": "Thủ đô của nước Pháp là một thành phố rất lớn",
    "zh": "法国的首都是一个非常大的城市",
}


@pytest.fixture(scope="module")
def pieces():
    """A byte-level tokenizer that cuts every text into its bytes, as pieces."""
    letters = {letter: number for number, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    tokenizer = Tokenizer(models.BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return lambda text: tokenizer.encode(text).tokens


@pytest.mark.parametrize("language", TEXTS)
def test_equal_texts_score_one_in_every_language(language, pieces):
    text = TEXTS[language]
    assert sp_rouge([text], [[text]], pieces) == 1
    default = RougeScorer(["rougeLsum"]).score(text, text)["rougeLsum"].fmeasure
    assert default == (0 if language in ("ar", "el", "hi", "ja", "ru", "th", "zh") else 1)


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_words_that_the_default_tokenizer_knows_score_as_by_it(kind):
    pairs = [("the cat sat on the mat", "a cat sat on a mat"), ("one two three", "three two one"), ("x y", "z w")]
    scorer = RougeScorer([kind], use_stemmer=False)
    wanted = sum(scorer.score(gold, text)[kind].fmeasure for text, gold in pairs) / len(pairs)
    texts, golds = [text for text, _ in pairs], [[gold] for _, gold in pairs]
    assert sp_rouge(texts, golds, str.split, kind) == pytest.approx(wanted)


def test_by_hand():
    # The longest common subsequence of a b c d and a c b d is three pieces of four.
    assert sp_rouge(["a b c d"], [["a c b d"]], str.split, "rougeL") == pytest.approx(3 / 4)
    # One of two pieces is in the gold answer of three: 2 · 1/2 · 1/3 / (1/2 + 1/3).
    assert sp_rouge(["a x"], [["a b c"]], str.split, "rouge1") == pytest.approx(0.4)
    assert sp_rouge(["a x"], [["q", "a x"]], str.split) == 1  # the best of the gold answers
    # Of each sentence by itself: the order of two sentences does not count, as it does for rougeL.
    assert sp_rouge(["a b . c d"], [["c d . a b"]], lambda text: text.replace(".", "").split()) == 1
    assert sp_rouge(["a b . c d"], [["c d . a b"]], lambda text: text.replace(".", "").split(), "rougeL") == 0.5


@pytest.mark.parametrize("language", TEXTS)
def test_a_language_is_cld3s(language):
    text = TEXTS[language]
    found = gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=10_000).FindLanguage(text=text)
    assert found.language == language
    assert named(text) == (language, found.probability)
    assert language_confidence([text], language) == pytest.approx(found.probability)
    for other in set(TEXTS) - {language}:
        assert language_confidence([text], other) == 0


def test_means_leave_out_what_is_no_text():
    half = language_confidence([TEXTS["th"], TEXTS["en"], "", " \n"], "th")
    assert half == pytest.approx(named(TEXTS["th"])[1] / 2)
    assert empty_share([TEXTS["th"], TEXTS["en"], "", " \n"]) == 0.5
    assert (language_confidence([""], "ja"), ascii_share([""])) == (0, 0)
    signs = ["...", "12 3.5", "?"]  # CLD3 would say Japanese
    assert (language_confidence(signs, "ja"), ascii_share(signs), empty_share(signs)) == (0, 0, 1)
    assert language_confidence(["Die Hauptstadt ist groß"], "de", least_bytes=100) == 0
    assert ascii_share([TEXTS["en"]]) == 1 and ascii_share([TEXTS["zh"]]) == 0
    assert ascii_share(["ab", "aé"]) == 0.75


def test_a_hundred_questions_in_each_of_twelve_languages():
    shared = os.environ.get("MPT_SHARED")
    if not shared or not Path(shared, "xgen/xquad").is_dir():
        pytest.skip("MPT_SHARED names no folder with xgen/xquad")
    for file in sorted(Path(shared, "xgen/xquad").glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        questions = [qa["question"] for row in rows for qa in row["qas"]][:100]
        assert len(questions) == 100
        assert language_confidence(questions, file.stem) > 0.6, file.stem
        assert language_confidence(questions, "en" if file.stem != "en" else "de") < 0.2
        assert (ascii_share(questions) > 0.5) == (file.stem in ("de", "en", "es", "ro", "tr", "vi"))
