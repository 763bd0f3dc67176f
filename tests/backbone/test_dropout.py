"""The model's own dropout, and training without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.small_models import bart, gpt2, llama, t5

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone, FrozenBackbone
from mpt.util.errors import UserError

WITH_DROPOUT = {
    "t5": lambda folder: t5(folder, dropout_rate=0.1),
    "bart": lambda folder: bart(folder, dropout=0.1, attention_dropout=0.1, activation_dropout=0.1),
    "gpt2": lambda folder: gpt2(folder, attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1),
    "llama": lambda folder: llama(folder, attention_dropout=0.1),
}


def without(folder: Path, **options: bool) -> FrozenBackbone:
    return FrozenBackbone(str(folder), BackboneOptions(dropout=False, **options))


def losses(backbone: Backbone, training: bool) -> torch.Tensor:
    prompt = backbone.embeddings[10:15].clone().requires_grad_()
    with backbone.in_mode(training):
        return backbone.loss(prompt, backbone.encode(["abc", "defghi"], ["yes", "no"]))


def kept_for_backward(backbone: Backbone) -> int:
    """Numbers that a loss in training keeps for its gradient."""
    sizes: list[int] = []

    def keep(value: torch.Tensor) -> torch.Tensor:
        sizes.append(value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        losses(backbone, training=True)
    return sum(sizes)


@pytest.mark.parametrize("kind", WITH_DROPOUT)
def test_without_dropout_training_computes_what_evaluation_does(kind, tmp_path):
    folder = WITH_DROPOUT[kind](tmp_path)
    drawn = FrozenBackbone(str(folder))
    assert not torch.equal(losses(drawn, True), losses(drawn, True))
    plain, saving = (without(folder, gradient_checkpointing=on) for on in (False, True))
    for backbone in (plain, saving):
        assert torch.equal(losses(backbone, True), losses(backbone, True))
        torch.testing.assert_close(losses(backbone, True), losses(drawn, False))
    assert torch.equal(losses(plain, True), losses(plain, False))
    assert kept_for_backward(saving) < 0.7 * kept_for_backward(plain)


def test_every_weight_is_trained_without_dropout_too(tmp_path):
    backbone = Backbone(str(WITH_DROPOUT["t5"](tmp_path)), BackboneOptions(dropout=False), new={})
    assert torch.equal(losses(backbone, True), losses(backbone, False))


def test_dropout_that_no_option_reaches_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.backbone.loading.leave_out_dropout", lambda config: None)
    with pytest.raises(UserError, match="another loss in training than in evaluation though dropout is off") as error:
        without(WITH_DROPOUT["t5"](tmp_path))
    assert "\n" not in str(error.value)
