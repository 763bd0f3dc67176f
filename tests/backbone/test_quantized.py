"""Prompts through weights in four bits: loss and gradient are those of the numbers that the blocks stand for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.small_models import llama, t5

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.learn.fine_tuning import FineTuning
from mpt.learn.language_modeling import LanguageModeling
from mpt.util.errors import UserError

NF4 = BackboneOptions(max_input_length=32, max_target_length=4, quantization="nf4")


@pytest.fixture(scope="module", params=["llama", "t5"])
def folder(request, tmp_path_factory) -> str:
    """Wide enough for blocks of 64 numbers."""
    place = tmp_path_factory.mktemp("wide") / request.param
    if request.param == "llama":
        return str(llama(place, hidden_size=64, intermediate_size=128))
    return str(t5(place, d_model=64, d_ff=128))


def test_loss_and_gradient_are_those_of_the_dequantised_weights(folder):
    library = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: the extra quantization")
    own, plain = FrozenBackbone(folder, NF4), FrozenBackbone(folder, replace(NF4, quantization=None))
    assert own.fingerprint != plain.fingerprint
    found = [name for name, module in own.model.named_modules() if isinstance(module, library.nn.Linear4bit)]
    assert len(found) >= 12
    for name in found:
        packed, matrix = own.model.get_submodule(name).weight, plain.model.get_submodule(name).weight
        assert packed.dtype == torch.uint8 and packed.numel() * 2 == matrix.numel()
        before = matrix.data
        matrix.data = library.functional.dequantize_4bit(packed.data, packed.quant_state).to(matrix.dtype)
        assert 0.01 < (matrix - before).norm() / before.norm() < 0.2
    prompt = torch.randn(5, own.hidden_size, generator=torch.Generator().manual_seed(3), requires_grad=True)
    batch = own.encode(["a dog runs", "no"], ["yes", "it is so"])
    losses = [one.loss(prompt, batch) for one in (own, plain)]
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*(torch.autograd.grad(loss.sum(), prompt)[0] for loss in losses), rtol=1e-4, atol=1e-5)
    assert own.answer(prompt, batch).texts == plain.answer(prompt, batch).texts


def test_without_its_package(folder, monkeypatch):
    monkeypatch.setattr("mpt.backbone.quantized.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"nf4 takes bitsandbytes and accelerate, not installed here: .*\[quantization\]"
    ):
        FrozenBackbone(folder, NF4)


@pytest.mark.parametrize("kind", [FineTuning, LanguageModeling])
def test_learners_of_the_weights_refuse_them(kind, folder):
    with pytest.raises(UserError, match=rf"{kind.__name__} learns the backbone's weights, and quantised"):
        kind(folder, backbone_options=NF4).build(())
