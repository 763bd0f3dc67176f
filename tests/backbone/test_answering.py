"""Answering many rows at once against the backbone's own generation and loss."""

from __future__ import annotations

import pytest
import torch
from support.plain_generation import by_transformers

TEXTS = ["a big dog", "x", "the small cat sat on the mat", "fox and hound", "uvw", "one two three"]


def rows(backbone, prompts: int = 6):
    generator = torch.Generator().manual_seed(1)
    table = backbone.embeddings
    prompt = table[torch.randint(4, len(table), (prompts, 5), generator=generator)]
    return prompt, backbone.encode(TEXTS, ["yes", "no", "maybe so", "yes", "", "a b"])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "bart", "bart_unscaled", "gpt2", "llama"])
def test_answers_and_losses_are_the_backbones(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt, batch = rows(backbone)
    texts, losses = backbone.answer(prompt, batch)
    assert texts == by_transformers(backbone, prompt, batch) and len(set(texts)) > 1
    torch.testing.assert_close(losses, backbone.loss(prompt, batch).detach())


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2", "llama"])
@pytest.mark.parametrize("wanted", [{}, {"num_beams": 2}])
@pytest.mark.parametrize("least", [1, 10_000])
def test_candidates_are_weighed_beside_what_is_written(kind, wanted, least, load_backbone, monkeypatch):
    monkeypatch.setattr("mpt.backbone.one_sequence._LEAST", {False: least, True: least})
    backbone = load_backbone(kind, **wanted)
    prompt, batch = rows(backbone, prompts=2)
    owners = torch.tensor([1, 0, 0, 1, 1, 0])
    each = [["yes", f"no {number}", "a long answer"] for number in range(len(batch))]
    own = backbone.encode(TEXTS, ["yes"] * 6)
    for options in (["yes", "no"], each):
        both = backbone.answer(prompt, batch, owners, options)
        assert both.texts == backbone.answer(prompt, batch, owners).texts
        assert both.losses is not None
        torch.testing.assert_close(-both.losses, backbone.score(prompt, batch, options, owners), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(both.losses[:, 0], backbone.loss(prompt, own, owners).detach(), rtol=1e-5, atol=1e-5)


def test_rows_that_end_at_different_places_leave_one_by_one(load_backbone, monkeypatch):
    backbone = load_backbone("t5")
    prompt, batch = rows(backbone)
    plain = by_transformers(backbone, prompt, batch)
    ids = backbone.tokenizer(plain, add_special_tokens=False)["input_ids"]
    # The token that ends an answer is replaced by one that these answers hold in different places.
    letter = max((t for row in ids for t in row), key=lambda t: len({row.index(t) for row in ids if t in row}))
    monkeypatch.setattr(backbone.generation, "eos_token_id", letter)
    expected = by_transformers(backbone, prompt, batch)
    widths, forward = [], backbone.model.forward

    def counted(*args, **kwargs):
        widths.append(len(kwargs["decoder_input_ids"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(backbone.model, "forward", counted)
    texts, losses = backbone.answer(prompt, type(batch)(batch.input_ids, batch.input_mask))
    assert texts == expected and losses is None
    assert widths[0] == 6 and widths == sorted(widths, reverse=True) and len(set(widths)) > 1


@pytest.mark.long
@pytest.mark.parametrize("wanted", [{"num_beams": 2}, {"repetition_penalty": 2.5}])
def test_beams_and_penalties_are_those_of_the_backbone(wanted, load_backbone):
    backbone = load_backbone("t5", **wanted)
    prompt, batch = rows(backbone)
    texts = backbone.answer(prompt, batch).texts
    assert texts == by_transformers(backbone, prompt, batch) != load_backbone("t5").answer(prompt, batch).texts
