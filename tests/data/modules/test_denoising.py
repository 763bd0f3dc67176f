"""Span corruption and prefix-LM on words."""

import re

import pytest

from mpt.data.modules.denoising import prefix_lm, span_corruption
from mpt.util.stable_random import StableRandom


def restored(source: str, target: str) -> list[str]:
    """The text, put together from a span-corruption pair."""
    parts = re.split(r"(<extra_id_\d+>)", target)
    spans = dict(zip(parts[1::2], parts[2::2], strict=True))
    return re.sub(r"<extra_id_\d+>", lambda found: spans[found.group()], source).split()


@pytest.mark.parametrize("length", [2, 3, 7, 40, 300])
def test_a_corrupted_text_can_be_put_together_again(length):
    words = [f"w{i}" for i in range(length)]
    for seed in range(50):
        source, target = span_corruption(words, StableRandom(seed))
        assert restored(source, target) == words
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
