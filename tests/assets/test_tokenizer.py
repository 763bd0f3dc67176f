"""mpt-tiny's tokenizer: exact for any text, one token per word of the world."""

import random

import pytest
from transformers import AutoTokenizer

from mpt.assets.tokenizer import SENTINELS, build_tokenizer
from mpt.backbone.source import resolve
from mpt.data.synthetic.lexicon import vocabulary


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resolve("mpt-tiny"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the dog",
        "  two  spaces ",
        "a\n\nb\tc\r\n",
        "🙂 ü 日本 ▁x \u00a0",
        "Don't: (x)",
        "\u0085 end",
        "a</s",
    ],
)
def test_any_text_decodes_to_itself(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_random_text_decodes_to_itself(tokenizer):
    rng = random.Random(0)
    for _ in range(500):
        ranges = ((1, 0x7F), (1, 0xD7FF), (0x10000, 0x10FFFF), (32, 33))
        text = "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(15)))
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_words_of_the_world_are_one_token_wherever_they_stand(tokenizer):
    for word in vocabulary():
        (first, *_), (_, second, *_) = tokenizer(word).input_ids, tokenizer(f"dog {word}").input_ids
        assert first == second
        assert len(tokenizer(word).input_ids) == 2


def test_sentinels_are_one_token_and_do_not_change_their_neighbours(tokenizer):
    ids = tokenizer("dog <extra_id_0> cat <extra_id_1>").input_ids
    assert ids == [
        *tokenizer("dog").input_ids[:1], tokenizer.convert_tokens_to_ids("<extra_id_0>"),
        *tokenizer("cat").input_ids[:1], tokenizer.convert_tokens_to_ids("<extra_id_1>"),
        tokenizer.eos_token_id,
    ]  # fmt: skip
    assert SENTINELS == 32


def test_common_words_have_low_ids(tokenizer):
    words = tokenizer.convert_ids_to_tokens(range(3, 60))
    assert {"Ġthe", "Ġa", "Ġ."} <= set(words)
    last_word = 2 + len(vocabulary())
    assert len(tokenizer.convert_ids_to_tokens(last_word)) > 1
    assert all(len(token) == 1 for token in tokenizer.convert_ids_to_tokens(range(last_word + 1, last_word + 257)))


@pytest.mark.long
def test_the_shipped_tokenizer_has_the_builders_tokens(tokenizer):
    # the order of the words is that of the lessons' word counts when it was built
    assert build_tokenizer().get_vocab().keys() == tokenizer.get_vocab().keys()
