"""Inputs and targets as turns of a chat, against transformers' rendering of the same turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.chats import END, TEMPLATES, chat_model, chat_tokenizer
from support.plain_generation import by_transformers
from support.small_models import BOS

from mpt.backbone.encoding import IGNORED, Encoder
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError

THINKING = TEMPLATES["chatml"].replace(
    "message['content'] +",
    "('<think>\n\n</think>\n\n' if message['role'] == 'assistant' else '') + message['content'] +",
)
DATED = "{{ 'Today is ' + strftime_now('%d %b %Y') + '\n' }}" + TEMPLATES["llama3"]
INPUTS = ["is it good ?", " spaces around \n", "söße", ""]
TARGETS = ["yes", "not at all", " no ", "ä"]


def encoder(template: str | None, inputs: int = 200, targets: int = 40, **options: Any) -> Encoder:
    return Encoder(chat_tokenizer(template), True, inputs, targets, chat_template=True, **options)


def loaded(folder: Path) -> FrozenBackbone:
    options = BackboneOptions(chat_template=True, max_target_length=6)
    return FrozenBackbone(str(chat_model(folder, "gemma")), options).eval()


def written(encode: Encoder, *texts: str, **options: Any) -> list[int]:
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=False)]
    return encode.tokenizer.apply_chat_template(turns, return_dict=False, **options)


@pytest.mark.parametrize("name", TEMPLATES)
def test_rows_are_the_turns_that_transformers_writes(name):
    encode = encoder(TEMPLATES[name])
    batch = encode(INPUTS, TARGETS)
    for row, (source, target) in enumerate(zip(INPUTS, TARGETS, strict=True)):
        read = batch.input_ids[row][batch.input_mask[row].bool()].tolist()
        labels = [token for token in batch.labels[row].tolist() if token != IGNORED]
        assert read == written(encode, source, add_generation_prompt=True)
        whole = written(encode, source, target)
        assert whole[: len(read) + len(labels)] == read + labels
        rest = whole[len(read) + len(labels) :]
        assert not encode.tokenizer.decode(rest).strip(), "what follows the end of a turn is white space"
        assert labels[-1] == encode.end_id and read.count(BOS) == (name != "chatml")
    assert encode.decode(encode.target_ids(TARGETS)) == [text.strip() for text in TARGETS]


def test_where_a_template_writes_more_before_an_answer_the_model_is_given_it():
    encode = encoder(THINKING)
    batch = encode(["a"], ["b"])
    row = [*batch.input_ids[0].tolist(), *batch.labels[0].tolist()]
    assert row == written(encode, "a", "b")[: len(row)]
    assert encode.decode(batch.labels) == ["b"]


def test_a_turn_ends_with_the_end_of_sequence_where_its_template_ends_none():
    encode = encoder(
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    )
    assert encode.tokenizer.decode(encode.target_ids(["good"])[0]) == "good</s>"
    assert encode.tokenizer.decode(encode(["it is"]).input_ids[0]) == "user: it is\nassistant: "


def test_a_template_does_not_read_the_clock():
    assert encoder(DATED).tokenizer.decode(encoder(DATED)(["a"]).input_ids[0]).startswith("Today is 26 Jul 2024\n<s>")


@pytest.mark.parametrize("name", TEMPLATES)
def test_of_a_long_input_its_own_text_is_cut(name):
    whole = encoder(TEMPLATES[name])
    empty, text = len(whole([""]).input_ids[0]), "".join(chr(97 + i % 26) for i in range(100))
    encode = encoder(TEMPLATES[name], inputs=empty + 7)
    batch = encode([text, text[:7], text[:8]])
    assert encode.inputs_cut == 2
    for row in batch.input_ids.tolist():
        assert row == written(encode, text[:7], add_generation_prompt=True)
    with pytest.raises(UserError, match=f"takes {empty} tokens of an input, and max_input_length is {empty}"):
        encoder(TEMPLATES[name], inputs=empty)


def test_a_long_target_keeps_the_end_of_its_turn():
    labels = encoder(TEMPLATES["chatml"], targets=4)(["a"], ["abcdefgh"]).labels
    assert encoder(TEMPLATES["chatml"]).tokenizer.decode(labels[0]) == f"abc{END}"


def test_what_has_no_chats_is_refused(model_folder):
    with pytest.raises(UserError, match="its tokenizer has no chat template; leave out"):
        encoder(None)
    with pytest.raises(UserError, match=r"writes no user's turn and answer to it \(TemplateError: only two\)"):
        encoder("{{ raise_exception('only two') }}")
    with pytest.raises(UserError, match="writes no user's turn"):
        encoder("{{ messages[0]['content'] }}")
    with pytest.raises(UserError, match="is for decoder-only models"):
        FrozenBackbone(str(model_folder("t5")), BackboneOptions(chat_template=True))


def test_an_answer_ends_where_its_turn_does(tmp_path):
    """Also where a checkpoint's own end of sequence is another token, as in Llama 3 and Gemma."""
    backbone = loaded(tmp_path)
    prompt, batch = backbone.embeddings[20:25], backbone.encode(["is it good ?", "no"], ["yes", "no"])
    free = backbone._generated(backbone._rows(prompt, batch))
    assert int(free[0, 2]) not in free[0, :2], "choose another seed"
    head = backbone.model.get_output_embeddings().weight
    with torch.no_grad():  # the end of a turn in place of the first answer's third token
        head[backbone.encode.end_id] = 1.01 * head[free[0, 2]]
    answers = backbone.answer(prompt, batch)
    assert answers.texts[0] == backbone.encode.decode(free[:1, :2])[0]
    assert answers.texts == by_transformers(backbone, prompt, batch)


def test_scores_and_losses_are_of_the_answers_in_their_turns(tmp_path):
    backbone = loaded(tmp_path)
    ids = torch.tensor([written(backbone.encode, "good ?", "yes")])[:, :-1]  # without the line break behind it
    start = len(backbone.encode(["good ?"]).input_ids[0])
    with torch.no_grad():
        spread = backbone.model(ids).logits.log_softmax(-1)[0]
    expected = sum(spread[place - 1, ids[0, place]] for place in range(start, ids.shape[1]))
    loss = backbone.loss(None, backbone.encode(["good ?"], ["yes"]))
    torch.testing.assert_close(-loss[0], expected)
    torch.testing.assert_close(backbone.score(None, backbone.encode(["good ?"]), ["yes"])[0, 0], expected)
