"""Prompts of several lengths in one batch: each row is answered as it is with its prompt alone."""

from __future__ import annotations

import pytest
import torch
from support.architectures import DECODER_ONLY, build
from support.small_models import bart, t5

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone

LENGTHS, OWNERS = (7, 1, 20), [2, 0, 1, 1, 2, 0]
TEXTS = ["one", "a much longer text than others", "", "two words", "x", "so it is"]


def loaded(kind: str, tmp_path) -> FrozenBackbone:
    makers = {"t5": t5, "bart": bart}
    folder = tmp_path / kind
    folder = makers[kind](folder) if kind in makers else build(folder, kind, DECODER_ONLY[kind])
    return FrozenBackbone(str(folder), BackboneOptions(max_target_length=6)).eval()


@pytest.mark.parametrize("kind", ["t5", "bart", "llama", "gpt2", "bloom"])
def test_a_row_is_answered_as_with_its_prompt_alone(kind, tmp_path):
    backbone = loaded(kind, tmp_path)
    assert (backbone.one_sequence is not None) == (kind in ("llama", "gpt2"))
    generator = torch.Generator().manual_seed(3)
    some = [torch.randn(n, backbone.hidden_size, generator=generator) * backbone.embeddings.std() for n in LENGTHS]
    targets = ["yes", "no", "yes and no", "a", "no no", "b"]
    batch, owners = backbone.encode(TEXTS, targets), torch.tensor(OWNERS)
    leaves = [prompt.clone().requires_grad_() for prompt in some]
    losses = backbone.loss(leaves, batch, owners)
    gradients = torch.autograd.grad(losses.sum(), leaves)
    told, scores = backbone.answer(some, batch, owners), backbone.score(some, batch, ["yes", "not so"], owners)
    expected = [torch.zeros_like(prompt) for prompt in some]
    for row, (text, target) in enumerate(zip(TEXTS, targets, strict=True)):
        alone, prompt = backbone.encode([text], [target]), some[OWNERS[row]].clone().requires_grad_()
        loss = backbone.loss(prompt, alone)
        torch.testing.assert_close(losses[row : row + 1], loss, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(told.losses[row : row + 1], loss.detach(), rtol=1e-5, atol=1e-5)
        expected[OWNERS[row]] += torch.autograd.grad(loss.sum(), prompt)[0]
        assert backbone.answer(prompt, alone).texts == [told.texts[row]]
        torch.testing.assert_close(
            scores[row : row + 1], backbone.score(prompt, alone, ["yes", "not so"]), rtol=1e-5, atol=1e-5
        )
    for own, other in zip(gradients, expected, strict=True):
        assert (own - other).norm() <= 1e-4 * other.norm()
