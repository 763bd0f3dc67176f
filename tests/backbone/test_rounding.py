"""Matrices that are rounded once: all is as autocast has it, in less time, and nothing of it stays."""

from __future__ import annotations

import gc
import weakref

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


def plain(monkeypatch, backbone):
    """No memory is free for copies, so that autocast rounds by itself."""
    backbone._rounded.forget()
    monkeypatch.setattr(rounding, "free_on", lambda device: 0)


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
    plain(monkeypatch, backbone)
    seen.clear()
    assert_same(once, said(backbone, prompt))
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("family", ["llama", "umt5"])
def test_checkpointed_passes_say_the_same(family, tmp_path, monkeypatch):
    backbone = loaded(tmp_path, family, gradient_checkpointing=True).train()
    prompt, seen = a_prompt(backbone), matrices_read(backbone)

    def learned():
        torch.manual_seed(0)
        return said(backbone, prompt)

    once = learned()
    assert set(seen) == {torch.bfloat16, torch.float32}, "computed again in the backward pass, where autocast rounds"
    plain(monkeypatch, backbone)
    assert_same(once, learned())


def adapted(backbone, **options):
    """The model as PEFT changes it, and what is learned."""
    kind = TaskType.CAUSAL_LM if backbone.decoder_only else TaskType.SEQ_2_SEQ_LM
    changed = get_peft_model(backbone.model, LoraConfig(task_type=kind, r=2, init_lora_weights=False, **options))
    return changed, [weight for weight in backbone.parameters() if weight.requires_grad]


@pytest.mark.parametrize(
    ("family", "options"),
    [("llama", {}), ("umt5", {"target_modules": ["wo"], "lora_dropout": 0.1}), ("llama", {"use_dora": True})],
)
def test_what_changes_a_frozen_model_is_learned_as_before(family, options, tmp_path, monkeypatch):
    backbone = loaded(tmp_path, family).train()
    _, weights = adapted(backbone, **options)
    seen, prompt = matrices_read(backbone), a_prompt(backbone)

    def learned():
        torch.manual_seed(0)
        return said(backbone, prompt, weights)

    once = learned()
    assert set(seen) == {torch.bfloat16, torch.float32}
    plain(monkeypatch, backbone)
    assert_same(once, learned())


def test_a_change_that_is_merged_is_read(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    changed, _ = adapted(backbone)
    prompt = a_prompt(backbone)
    said(backbone, prompt)
    changed.merge_adapter()
    once = said(backbone, prompt)
    plain(monkeypatch, backbone)
    assert_same(once, said(backbone, prompt))


def test_what_inference_mode_rounded_is_no_hindrance_to_learning(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        backbone.answer(a_prompt(backbone), backbone.encode(INPUTS))
    prompt = a_prompt(backbone)
    once = said(backbone, prompt)
    plain(monkeypatch, backbone)
    assert_same(once, said(backbone, prompt))


def test_no_copy_stays_of_what_moves_or_is_learned(tmp_path):
    backbone = loaded(tmp_path, "llama")
    prompt = a_prompt(backbone)
    said(backbone, prompt)
    kept = [weakref.ref(copy.rounded) for copy in backbone._rounded._copies.values()]
    assert kept and all(reference() is not None for reference in kept)
    backbone.to("cpu")
    gc.collect()
    assert all(reference() is None for reference in kept)
    said(backbone, prompt)
    backbone.model.requires_grad_(True)
    said(backbone, prompt)
    assert not backbone._rounded._copies


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
    plain(monkeypatch, backbone)
    assert_same(second, said(backbone, prompt))


def test_a_replaced_matrix_is_rounded_anew_though_it_may_lie_where_the_old_one_lay(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    prompt, head = a_prompt(backbone), backbone.model.get_output_embeddings()
    seen, shape = [], head.weight.shape
    for number in range(5):
        del head.weight
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(number))
        head.weight = nn.Parameter(noise, requires_grad=False)
        seen.append(said(backbone, prompt))
    assert all(not torch.equal(one[0][0], seen[0][0][0]) for one in seen[1:])
    plain(monkeypatch, backbone)
    assert_same(seen[-1], said(backbone, prompt))
