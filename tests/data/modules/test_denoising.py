"""Span corruption and prefix-LM on words."""

import re

import pytest

from mpt.data.modules.denoising import OBJECTIVES, joined, prefix_lm, span_corruption, words_of
from mpt.util.stable_random import StableRandom


def restored(source: str, target: str) -> str:
    """The text, put together from a pair with sentinels."""
    parts = re.split(r"(<extra_id_\d+>)", target)
    spans = dict(zip(parts[1::2], parts[2::2], strict=True))
    return re.sub(r"<extra_id_\d+>", lambda found: spans[found.group()], source)


@pytest.mark.parametrize("length", [2, 3, 7, 40, 300])
def test_a_corrupted_text_can_be_put_together_again(length):
    words = [f"w{i}" for i in range(length)]
    for seed in range(50):
        source, target = span_corruption(words, StableRandom(seed))
        assert restored(source, target).split() == words
        assert target.startswith("<extra_id_0> w")


def test_span_corruption_hides_the_share_it_is_told():
    words = [f"w{i}" for i in range(200)]
    source, target = span_corruption(words, StableRandom(1), share=0.15, span=3.0)
    assert sum(word.startswith("w") for word in target.split()) == 30
    assert source.count("<extra_id_") == 10 == target.count("<extra_id_") - 1


def test_a_prefix_and_its_rest_are_the_text():
    words = ["a", "b", "c", "d", "e"]
    pairs = {prefix_lm(words, StableRandom(seed)) for seed in range(200)}
    assert len(pairs) == 4
    assert all(source and target and f"{source} {target}".split() == words for source, target in pairs)


TEXTS = {
    "English": "the cat sat on the mat by the old door and saw a dog",
    "Thai": "เมืองหลวงของฝรั่งเศส เป็นเมืองที่ใหญ่มาก และสวย",
    "Chinese": "法国的首都是巴黎，它是一个非常大的城市。",
    "Japanese": "フランスの首都は Paris です、とても大きい",
    "mixed": "Paris เมืองหลวง 2024 是 a",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_any_script_is_its_words(text):
    words = words_of(text)
    assert len(words) > 5 and joined(words) == text
    if text.isascii():
        assert words == text.split()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_of_a_text_is_lost(text, objective):
    words = words_of(text)
    for seed in range(30):
        source, target = OBJECTIVES[objective](words, StableRandom(seed))
        assert target
        bare = text.replace(" ", "")
        if objective in ("span-corruption", "iid-denoising"):
            assert restored(source, target).replace(" ", "") == bare and source != text
            assert all(re.search(r"(^| )<extra_id_0>", side) for side in (source, target))
        elif objective == "n-word-prefix":
            assert source == text and text.startswith(target)
        elif objective in ("missing-prefix", "missing-n-word-prefix"):
            assert f"{target}{source}".replace(" ", "") == bare and source
        else:
            assert f"{source}{target}".replace(" ", "") == bare and (source == "") == (objective == "language-model")
    source, target = OBJECTIVES[objective](words[:2], StableRandom(1))
    assert target and (source or objective == "language-model")
