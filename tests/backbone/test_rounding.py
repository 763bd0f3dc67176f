"""Matrices that are rounded once: all is as autocast has it, in less time, and nothing of it stays."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from support.architectures import DECODER_ONLY, ENCODER_DECODER, build
from torch import nn
from transformers.pytorch_utils import Conv1D

from mpt.backbone import rounding
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone, FrozenBackbone

FAMILIES = DECODER_ONLY | ENCODER_DECODER
INPUTS, TARGETS = ["it rained.", "a much longer input that pads the short ones", "so: so:"], ["yes", "not at all", "x"]


def loaded(tmp_path, family, kind=FrozenBackbone, **options):
    folder = build(tmp_path, family, FAMILIES[family])
    return kind(str(folder), BackboneOptions(max_target_length=6, **options)).eval()


def a_prompt(backbone):
    noise = torch.randn(5, backbone.hidden_size, generator=torch.Generator().manual_seed(1))
    return (noise * backbone.embeddings.std()).requires_grad_()


def said(backbone, prompt, of=None):
    """Losses, gradients, log-probabilities, weights of labels and answers under autocast."""
    batch = backbone.encode(INPUTS, TARGETS)
    with torch.autocast("cpu", torch.bfloat16):
        losses = backbone.loss(prompt, batch)
    gradients = torch.autograd.grad(losses.sum(), of or [prompt])
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        answers = backbone.answer(prompt, batch)
        more = [backbone.log_probabilities(prompt, batch), backbone.score(prompt, batch, ["yes", "no"])]
    return [losses.detach(), *gradients, *more, answers.losses], answers.texts


def matrices_read(backbone):
    """Types of the matrices of linear layers as they are read."""
    seen: list[torch.dtype] = []
    for module in backbone.model.modules():
        if isinstance(module, nn.Linear | Conv1D):
            module.register_forward_pre_hook(lambda module, _: seen.append(module.weight.dtype))
    return seen


def plain(monkeypatch):
    monkeypatch.setattr(rounding, "LARGEST", -1)


def assert_same(one, other):
    for mine, theirs in zip(one[0], other[0], strict=True):
        assert torch.equal(mine, theirs)
    assert one[1] == other[1]


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_the_same_to_the_last_bit(family, tmp_path, monkeypatch):
    backbone = loaded(tmp_path, family)
    before = {name: (id(weight), weight.clone()) for name, weight in backbone.model.named_parameters()}
    seen, prompt = matrices_read(backbone), a_prompt(backbone)
    once = said(backbone, prompt)
    assert set(seen) == {torch.bfloat16}
    after = dict(backbone.model.named_parameters())
    assert all(id(after[name]) == known and torch.equal(after[name], value) for name, (known, value) in before.items())
    plain(monkeypatch)
    seen.clear()
    assert_same(once, said(backbone, prompt))
    assert set(seen) == {torch.float32}


def test_checkpointed_passes_say_the_same(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama", gradient_checkpointing=True)
    prompt = a_prompt(backbone)
    once = said(backbone, prompt)
    plain(monkeypatch)
    assert_same(once, said(backbone, prompt))


def test_what_changes_a_frozen_model_is_learned_as_before(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    get_peft_model(backbone.model, LoraConfig(task_type=TaskType.CAUSAL_LM, r=2, init_lora_weights=False))
    learned = [weight for weight in backbone.parameters() if weight.requires_grad]
    seen = matrices_read(backbone)
    prompt = a_prompt(backbone)
    once = said(backbone, prompt, learned)
    assert set(seen) == {torch.bfloat16, torch.float32}
    plain(monkeypatch)
    assert_same(once, said(backbone, prompt, learned))


def test_what_is_learned_and_what_is_in_full_precision_is_not_rounded(tmp_path):
    tuned = loaded(tmp_path / "tuned", "llama", Backbone)
    seen = matrices_read(tuned)
    said(tuned, a_prompt(tuned))
    frozen = loaded(tmp_path / "frozen", "llama")
    seen_there = matrices_read(frozen)
    frozen.loss(a_prompt(frozen), frozen.encode(INPUTS, TARGETS))
    assert {*seen, *seen_there} == {torch.float32}


def test_a_changed_matrix_is_rounded_anew(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    prompt = a_prompt(backbone)
    first = said(backbone, prompt)
    with torch.no_grad():
        backbone.model.get_output_embeddings().weight.mul_(2)
    second = said(backbone, prompt)
    assert not torch.equal(first[0][0], second[0][0])
    plain(monkeypatch)
    assert_same(second, said(backbone, prompt))
