"""Answers that are one of some labels, against a plain transformers model: a row and a label at a time."""

from __future__ import annotations

import pytest
import torch
from support.small_models import llama, t5

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import collate
from mpt.data.tasks.task import Example
from mpt.learn.rows import RowsWithPrompts

LABELS = ["no", "yes it is", "perhaps"]
TEXTS = ["a text", "a second and much longer text about nothing at all", "is it so", "two"]


@torch.no_grad()
def likelihood(backbone: FrozenBackbone, prompt: torch.Tensor, text: str, label: str) -> float:
    model, tokenizer = backbone.model, backbone.tokenizer
    table = model.get_input_embeddings()
    read = torch.cat([prompt, table(torch.tensor(tokenizer(text)["input_ids"]))])[None]
    if not backbone.decoder_only:
        gold = torch.tensor([tokenizer(label)["input_ids"]])
        return -float(model(inputs_embeds=read, labels=gold).loss) * gold.shape[1]
    gold = torch.tensor([*tokenizer(f" {label}", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])
    logits = model(inputs_embeds=torch.cat([read, table(gold)[None]], dim=1)).logits[0, -len(gold) - 1 : -1]
    return float(logits.log_softmax(-1).gather(1, gold[:, None]).sum())


@pytest.mark.parametrize("build", [t5, llama])
def test_the_likeliest_label_and_the_loss_of_the_target(build, tmp_path):
    backbone = FrozenBackbone(str(build(tmp_path / "model")), BackboneOptions(max_target_length=16)).eval()
    prompts = torch.randn(2, 3, backbone.hidden_size, generator=torch.Generator().manual_seed(2))
    text = collate(("task", Example(text, (LABELS[i % 3],))) for i, text in enumerate(TEXTS))
    rows = RowsWithPrompts(backbone, tokens=40)
    answers = rows.answers(prompts, [text, text], losses=True, labels=[LABELS] * 2)
    known = set()
    for prompt, found in zip(prompts, answers, strict=True):
        for place, source in enumerate(TEXTS):
            scores = [likelihood(backbone, prompt, source, label) for label in LABELS]
            known.add(found.texts[place])
            assert found.texts[place] == LABELS[max(range(3), key=scores.__getitem__)]
            assert float(found.losses[place]) == pytest.approx(-scores[place % 3], rel=1e-4)
    assert [one.texts for one in rows.answers(prompts, [text, text], labels=[LABELS] * 2)] == [
        one.texts for one in answers
    ]
    assert known <= set(LABELS) and not known & set(RowsWithPrompts(backbone).answers(prompts[:1], [text])[0].texts)


def test_one_prompt_for_more_rows_than_are_weighed_at_once(tmp_path):
    backbone = FrozenBackbone(str(llama(tmp_path / "model")), BackboneOptions(max_target_length=16))
    prompt = torch.randn(1, 3, backbone.hidden_size, generator=torch.Generator().manual_seed(2))
    text = collate(("task", Example(f"{source} {i}", (LABELS[0],))) for i in range(12) for source in TEXTS)
    [many] = RowsWithPrompts(backbone).answers(prompt, [text], losses=True, labels=[LABELS])
    for place in (0, 21, 47):
        loss = -likelihood(backbone, prompt[0], text.inputs[place], LABELS[0])
        assert float(many.losses[place]) == pytest.approx(loss, rel=1e-4)


def test_each_prompt_answers_with_its_own_labels(tmp_path):
    backbone = FrozenBackbone(str(llama(tmp_path / "model")), BackboneOptions(max_target_length=16))
    prompts = torch.randn(4, 3, backbone.hidden_size, generator=torch.Generator().manual_seed(2))
    text = collate(("task", Example(source, ("else",))) for source in TEXTS)
    labels = [LABELS, ["up", "down"], [], LABELS]
    rows = RowsWithPrompts(backbone)
    together = rows.answers(prompts, [text] * 4, losses=True, labels=labels)
    for prompt, own, found in zip(prompts, labels, together, strict=True):
        [alone] = rows.answers(prompt[None], [text], losses=True, labels=[own])
        assert found.texts == alone.texts and (not own or set(found.texts) <= set(own))
        torch.testing.assert_close(found.losses, alone.losses)
        # The target is none of the labels: its loss is told, and it is never the answer.
        loss = -likelihood(backbone, prompt, TEXTS[1], "else")
        assert float(found.losses[1]) == pytest.approx(loss, rel=1e-4)
