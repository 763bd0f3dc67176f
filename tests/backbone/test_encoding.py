"""Texts to tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.small_models import EOS, PAD, VOCABULARY, byte_tokenizer
from support.small_tokenizers import llama2, unigram
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mpt.backbone.encoding import IGNORED, Batch, Encoder
from mpt.util.errors import UserError

# One token per byte, after the four special ones.
IDS = {char: byte_tokenizer(False).convert_tokens_to_ids(char) for char in "abcdefgh"}


def encoder(decoder_only: bool = False, inputs: int = 6, targets: int = 4) -> Encoder:
    special = {} if decoder_only else {"pad_token": "<pad>"}
    return Encoder(byte_tokenizer(not decoder_only, **special), decoder_only, inputs, targets)


def test_an_encoder_decoder_reads_padded_inputs_and_closed_targets():
    batch = encoder()(["abc", "a"], ["b", "gh"])
    a, b, c, g, h = (IDS[char] for char in "abcgh")
    assert batch.input_ids.tolist() == [[a, b, c, EOS], [a, EOS, PAD, PAD]]
    assert batch.input_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.labels.tolist() == [[b, EOS, IGNORED], [g, h, EOS]]
    assert batch.target_lengths.tolist() == [2, 3]
    assert len(batch) == 2
    assert {batch.input_ids.dtype, batch.input_mask.dtype, batch.labels.dtype} == {torch.long}


def test_a_decoder_only_model_reads_inputs_that_touch_their_targets():
    batch = encoder(decoder_only=True)(["abc", "a"], ["b", "gh"])
    a, b, c, g, h = (IDS[char] for char in "abcgh")
    space = byte_tokenizer(False)(" ")["input_ids"]
    # Without a padding token (GPT-2, Llama) the end of sequence pads; the mask hides it.
    assert batch.input_ids.tolist() == [[a, b, c], [EOS, EOS, a]]
    assert batch.input_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch.labels.tolist() == [[*space, b, EOS, IGNORED], [*space, g, h, EOS]]


def test_long_inputs_are_cut_keep_their_end_token_and_are_counted():
    encode = encoder(inputs=4)
    batch = encode(["abcdefgh", "abc", "abcd"])
    a, b, c = (IDS[char] for char in "abc")
    assert batch.input_ids.tolist() == [[a, b, c, EOS]] * 3
    assert (encode.inputs_seen, encode.inputs_cut) == (3, 2)
    encode(["abcdefgh"])
    assert (encode.inputs_seen, encode.inputs_cut) == (3, 2), "a text is counted once, however often it comes"


def test_what_a_tokenizer_puts_behind_a_text_is_kept_and_no_word_of_it():
    a, b, c, h = (IDS[char] for char in "abch")
    open_ended = Encoder(byte_tokenizer(False, pad_token="<pad>"), False, 3, 4)
    assert open_ended(["abcdefgh"], ["abcdefgh"]).input_ids.tolist() == [[a, b, c]]
    assert open_ended.labels(["abcdefgh"]).tolist() == [[a, b, c, EOS]]
    spoken = byte_tokenizer(True, pad_token="<pad>")
    spoken._tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos> h", special_tokens=[("<eos>", EOS), ("h", h)]
    )
    both = Encoder(spoken, False, 4, 3)  # an end and a language, as mBART's
    assert both(["abcdefgh"], ["abcdefgh"]).input_ids.tolist() == [[a, b, EOS, h]]
    assert both.labels(["abcdefgh"]).tolist() == [[a, EOS, h]]


def test_a_decoder_only_input_has_no_end_token_to_keep():
    encode = encoder(decoder_only=True, inputs=3)
    assert encode(["abcdef"]).input_ids.tolist() == [[IDS["a"], IDS["b"], IDS["c"]]]
    assert encode.inputs_cut == 1


@pytest.mark.parametrize("decoder_only", [False, True])
def test_long_targets_are_cut_keep_their_end_token_and_are_counted(decoder_only):
    encode = encoder(decoder_only, targets=4)
    labels = encode(["a", "b"], ["abcdefgh", "a"]).labels
    assert labels.shape == (2, 4)
    assert labels[0, -1] == EOS
    assert (encode.targets_cut, encode.inputs_cut) == (1, 0)


def test_a_limit_of_one_still_works():
    batch = encoder(inputs=1, targets=1)(["abc"], ["abc"])
    assert batch.input_ids.tolist() == batch.labels.tolist() == [[EOS]]


@pytest.mark.parametrize("decoder_only", [False, True])
def test_remembering_texts_changes_nothing(decoder_only, monkeypatch):
    texts = ["abc", "", "ä", "abcdefgh", "abc", "a b"]
    encode = encoder(decoder_only)
    first, again = encode(texts, texts), encode(texts[::-1], texts[::-1])
    monkeypatch.setattr("mpt.backbone.encoding._CACHED_TOKENS", 8)  # too few to remember
    forgetful = encoder(decoder_only)
    for _ in range(2):
        fresh = forgetful(texts, texts)
        for mine, other in ((first.input_ids, fresh.input_ids), (first.labels, fresh.labels)):
            assert torch.equal(mine, other)
    assert torch.equal(first.input_ids, again.input_ids.flip(0))
    assert torch.equal(first.labels, again.labels.flip(0))


def test_inputs_and_targets_are_remembered_apart():
    """Some tokenizers (mBART, NLLB) encode a text differently as a target."""
    encode = encoder(decoder_only=True)
    assert encode(["a"], ["a"]).input_ids.tolist() == [[IDS["a"]]]
    assert encode(["a"], ["a"]).labels[0, -1] == EOS


def test_a_text_is_tokenised_once():
    calls: list[list[str]] = []

    class Counting:
        pad_token_id, eos_token_id = PAD, EOS

        def __call__(self, text: list[str], **options: Any) -> dict[str, list[list[int]]]:
            calls.append(text)
            return {"input_ids": [[7, EOS] for _ in text]}

    encode = Encoder(Counting(), False, 8, 8)
    calls.clear()
    encode(["a", "b", "a"])
    encode(["b", "c"])
    assert calls == [["a", "b"], ["c"]]


def test_a_tokenizers_own_limit_neither_cuts_nor_warns(recwarn):
    tokenizer = byte_tokenizer(True, pad_token="<pad>")
    tokenizer.model_max_length = 5
    assert Encoder(tokenizer, False, 100, 100)(["a" * 50]).input_ids.shape == (1, 51)
    assert not recwarn.list


def test_a_batch_moves_whole():
    moved = encoder()(["abc"], ["a"]).to("meta")
    assert {t.device.type for t in (moved.input_ids, moved.input_mask, moved.labels)} == {"meta"}
    bare = encoder()(["abc"]).to("meta")
    assert bare.labels is None and isinstance(bare, Batch)


def test_a_batch_without_targets_has_no_target_lengths():
    with pytest.raises(ValueError, match="no targets"):
        _ = encoder()(["abc"]).target_lengths


def test_no_rows_are_an_empty_batch():
    batch = encoder()([], [])
    assert batch.input_ids.shape == (0, 0) and len(batch) == 0


def test_a_target_ends_though_its_tokenizer_closes_nothing():
    """Gemma's tokenizers, an encoder-decoder's too, put a start token before a text and nothing behind it."""
    encode = Encoder(byte_tokenizer(False, pad_token="<pad>"), False, 20, 20)
    assert [ids[-1] for ids in encode.target_ids(["a", ""])] == [EOS, EOS]
    assert Encoder(byte_tokenizer(True, pad_token="<pad>"), False, 20, 20).target_ids(["a"])[0].count(EOS) == 1


def test_what_is_decoded_is_not_tidied_up():
    """A setting in a tokenizer's files would make "good ." come back as "good.", which is then never right."""
    texts = ["good .", "is n't", "a , b !"]
    tokenizer = unigram(clean_up_tokenization_spaces=True)
    assert tokenizer.decode(tokenizer("good .")["input_ids"], skip_special_tokens=True) == "good."
    encode = Encoder(byte_tokenizer(True, pad_token="<pad>", clean_up_tokenization_spaces=True), False, 20, 20)
    assert encode.decode(encode.target_ids([f" {text}\n" for text in texts])) == texts
    encode = Encoder(tokenizer, False, 20, 20)
    assert encode.decode(torch.tensor(encode.target_ids(["good ."]))) == ["good ."]


def ids_of(encode: Encoder, text: str) -> list[int]:
    """Of a text in one piece, as training on whole texts would read it."""
    return encode.tokenizer(text, add_special_tokens=False)["input_ids"]


def wordpieces() -> PreTrainedTokenizerFast:
    words = {word: i for i, word in enumerate(["[UNK]", "[SEP]", "good", "bad", "##ly", "x"])}
    core = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    core.pre_tokenizer, core.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="[SEP]", unk_token="[UNK]")


def prefixed_bytes() -> PreTrainedTokenizerFast:
    tokenizer = byte_tokenizer(False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


@pytest.mark.parametrize(
    "make", [llama2, lambda: byte_tokenizer(False), lambda: unigram(False), wordpieces, prefixed_bytes]
)
def test_a_decoder_only_target_is_what_follows_in_a_text(make):
    encode = Encoder(make(), True, 20, 20)
    eos = encode.tokenizer.eos_token_id
    for before in ("good", "bad good"):
        for target in ("good", "bad", "good bad"):
            whole = ids_of(encode, f"{before} {target}")
            assert whole == ids_of(encode, before) + encode.target_ids([target])[0][:-1]
    rows = encode.target_ids(["good", "bad"])
    assert [row[-1] for row in rows] == [eos, eos] and encode.decode(rows) == ["good", "bad"]


def test_a_space_of_the_tokenizers_own_is_no_part_of_a_target():
    encode = Encoder(llama2(), True, 20, 20)
    assert encode.tokenizer.convert_ids_to_tokens(encode.target_ids(["good"])[0]) == ["▁good", "</s>"]


def test_a_target_that_grows_together_with_the_word_before_is_encoded_by_itself():
    """As where there are tokens of several words."""
    words = {word: i for i, word in enumerate(["</s>", "<unk>", "x", " ", "y", "x ", "x y", " y"])}
    core = Tokenizer(models.BPE(vocab=words, merges=[("x", " "), ("x ", "y"), (" ", "y")], unk_token="<unk>"))
    encode = Encoder(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>"), True, 9, 9)
    assert ids_of(encode, "x y") == [words["x y"]]
    assert encode.target_ids(["y"]) == [[words[" y"], words["</s>"]]]


def test_padding_is_a_row_of_the_models_table():
    added = byte_tokenizer(False, bos_token="<s>")
    added.add_special_tokens({"pad_token": "[PAD]"})
    assert Encoder(added, True, 9, 9).pad_id == VOCABULARY
    batch = Encoder(added, True, 9, 9, rows=VOCABULARY)(["ab", "a"])
    assert batch.input_ids.tolist() == [[IDS["a"], IDS["b"]], [EOS, IDS["a"]]] and batch.input_mask.tolist()[1] == [
        0,
        1,
    ]
    assert Encoder(added, True, 9, 9, rows=VOCABULARY + 1).pad_id == VOCABULARY
    assert Encoder(byte_tokenizer(False), True, 9, 9, rows=VOCABULARY).pad_id == EOS
    # Its end of sequence lies beyond too, as where a tokenizer was given new ones: another special token.
    beyond = PreTrainedTokenizerFast(
        tokenizer_object=added.backend_tokenizer, pad_token="[PAD]", eos_token="[PAD]", unk_token="<unk>"
    )
    assert Encoder(beyond, True, 9, 9, rows=VOCABULARY).pad_id == beyond.unk_token_id


def test_a_text_that_needs_a_row_the_model_lacks_is_refused():
    added = byte_tokenizer(False, bos_token="<s>")
    added.add_tokens(["[new]"])
    encode = Encoder(added, True, 9, 9, rows=VOCABULARY)
    assert len(encode(["ab"], ["a"])) == 1
    for texts in ((["a[new]"],), (["a"], ["[new]"])):
        with pytest.raises(UserError, match=rf"'\[new\]' for a part of .*beyond the {VOCABULARY}"):
            encode(*texts)
