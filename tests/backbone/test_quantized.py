"""Prompts through weights in eight and four bits: loss and gradient are those of the numbers that they stand for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from support.architectures import DECODER_ONLY, build
from support.small_models import gpt2, llama, t5
from support.toy import ROWS, Mpt, json_lines, small_fit, write_toy
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from transformers.pytorch_utils import Conv1D

from mpt.backbone.eight_bits import EightBitLinear, to_eight_bits
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.learn.fine_tuning import FineTuning
from mpt.learn.language_modeling import LanguageModeling
from mpt.learn.meta.attention import twice_differentiable
from mpt.use.answers.opening import open_predictor
from mpt.util.errors import UserError

NF4 = BackboneOptions(max_input_length=32, max_target_length=4, quantization="nf4")
INT8 = replace(NF4, quantization="int8")


@pytest.fixture(scope="module", params=["llama", "t5"])
def folder(request, tmp_path_factory) -> str:
    """Wide enough for blocks of 64 numbers."""
    place = tmp_path_factory.mktemp("wide") / request.param
    if request.param == "llama":
        return str(llama(place, hidden_size=64, intermediate_size=128))
    # At twice this scale its gradients are so large that float32 has but three digits of them, on some processors.
    return str(t5(place, d_model=64, d_ff=128, initializer_factor=1.0))


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


def in_eight_bits(folder: str, dtype: str = "float32") -> tuple[FrozenBackbone, FrozenBackbone, list[str]]:
    """A backbone in eight bits, one in whole numbers whose weights are what the bytes stand for, and which they are."""
    own = FrozenBackbone(folder, replace(INT8, dtype=dtype)).eval()
    plain = FrozenBackbone(folder, replace(INT8, dtype=dtype, quantization=None)).eval()
    assert own.fingerprint != plain.fingerprint
    found = [name for name, module in own.model.named_modules() if isinstance(module, EightBitLinear)]
    for name in found:
        packed, module = own.model.get_submodule(name), plain.model.get_submodule(name)
        matrix = module.weight.data.T if isinstance(module, Conv1D) else module.weight.data
        assert packed.weight.dtype == torch.int8 and packed.weight.shape == matrix.shape
        largest = matrix.float().abs().amax(1, keepdim=True)
        stands_for = packed.weight.double() * packed.scale.double()
        assert ((stands_for - matrix.double()).abs() <= largest / 127 * 0.5001).all()
        matrix.copy_(stands_for)
    return own, plain, found


def prompted(backbone: FrozenBackbone, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, object]:
    generator = torch.Generator().manual_seed(3)
    prompt = torch.randn(5, backbone.hidden_size, generator=generator, dtype=dtype, requires_grad=True)
    return prompt, backbone.encode(["a dog runs", "no"], ["yes", "it is so"])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_eight_bits_compute_what_the_dequantised_weights_do(folder, dtype):
    own, plain, found = in_eight_bits(folder, dtype)
    layers = [name for name, module in plain.model.named_modules() if type(module) is nn.Linear]
    assert found == [name for name in layers if name != "lm_head"] and len(found) >= 14
    prompt, batch = prompted(own, getattr(torch, dtype))
    losses = [one.loss(prompt, batch) for one in (own, plain)]
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(*(torch.autograd.grad(loss.sum(), prompt)[0] for loss in losses), rtol=1e-5, atol=1e-6)
    assert own.answer(prompt, batch).texts == plain.answer(prompt, batch).texts
    torch.testing.assert_close(*(one.score(prompt, batch, ["yes", "no"]) for one in (own, plain)))


def test_eight_bits_under_autocast(folder):
    own, plain, _ = in_eight_bits(folder)
    prompt, batch = prompted(own)
    with torch.autocast("cpu", torch.bfloat16):
        losses = [one.loss(prompt, batch) for one in (own, plain)]
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(*(torch.autograd.grad(loss.sum(), prompt)[0] for loss in losses), rtol=1e-5, atol=1e-6)


def test_second_order_through_eight_bits(folder):
    own, plain, _ = in_eight_bits(folder)
    prompt, batch = prompted(own)
    with twice_differentiable():
        first = [
            torch.autograd.grad(one.loss(prompt, batch).sum(), prompt, create_graph=True)[0] for one in (own, plain)
        ]
    products = [torch.autograd.grad(gradient, prompt, torch.ones_like(prompt))[0] for gradient in first]
    assert products[1].norm() > 0.01
    torch.testing.assert_close(*products, rtol=1e-4, atol=1e-5)


def test_eight_bits_on_a_gpu(folder, cuda):
    own, plain, _ = in_eight_bits(folder)
    prompt, batch = prompted(own)
    expected = torch.autograd.grad(plain.loss(prompt, batch).sum(), prompt)[0]
    own, there = own.to("cuda"), prompt.detach().to("cuda").requires_grad_()
    gradient = torch.autograd.grad(own.loss(there, batch.to("cuda")).sum(), there)[0]
    assert gradient.device.type == "cuda" and own.model.get_input_embeddings().weight.device.type == "cuda"
    torch.testing.assert_close(gradient.cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_a_prompt_learned_through_eight_bits(folder, capsys, tmp_path):
    mpt, changes = Mpt(capsys), {"trainer__max_steps": 1, "trainer__val_check_interval": 1}
    changes["model__backbone_options__quantization"] = "int8"
    options = ["--config", "prompt_tuning", *small_fit(folder, write_toy(tmp_path), tmp_path / "run", **changes)]
    assert mpt("fit", *options).code == 0
    assert mpt("predict", *options).code == 0
    assert len(json_lines(tmp_path / "run" / "predictions.jsonl")) == len(ROWS["test"])
    facts = json.loads((tmp_path / "run" / "prompt" / "mpt.json").read_text())
    assert facts["fingerprint"] == FrozenBackbone(folder, INT8).fingerprint
    used = open_predictor([tmp_path / "run"])  # its folder says how
    assert used.backbone.options.quantization == "int8" and len(used(["a dog runs"])) == 1


def test_eight_bits_with_the_weights_of_a_convolution(tmp_path):
    own, plain, found = in_eight_bits(str(gpt2(tmp_path / "gpt2")))
    assert len(found) == 8
    prompt, batch = prompted(own)
    torch.testing.assert_close(*(one.loss(prompt, batch) for one in (own, plain)), rtol=1e-6, atol=1e-6)


def test_memory_of_eight_bits(folder):
    own, _, found = in_eight_bits(folder)
    layers = [own.model.get_submodule(name) for name in found]
    numbers = sum(layer.weight.numel() for layer in layers)
    held = sum(part.numel() * part.element_size() for layer in layers for part in layer.parameters())
    assert numbers < held < 0.28 * 4 * numbers
    matrices, kept = {tuple(layer.weight.shape) for layer in layers}, []
    prompt, batch = prompted(own)
    with saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        own.loss(prompt, batch)
    of_matrices = [one for one in kept if tuple(one.shape) in matrices]
    assert len(of_matrices) > len(layers) / 2  # what the prompt cannot reach keeps nothing
    assert all(one.dtype == torch.int8 for one in of_matrices)


def test_eight_bits_keep_shared_and_output_layers():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.one, self.other, self.lone = (nn.Linear(4, 4) for _ in range(4))
            self.other.weight = self.one.weight

        def get_output_embeddings(self) -> nn.Module:
            return self.head

    model = Tied()
    to_eight_bits(model, "tied")
    assert [name for name, module in model.named_modules() if isinstance(module, EightBitLinear)] == ["lone"]
    model.lone = nn.Identity()
    with pytest.raises(UserError, match=r"backbone tied has no linear layers .* eight bits; leave out"):
        to_eight_bits(model, "tied")


def test_a_model_that_reads_its_matrices_itself(tmp_path):
    folder = build(tmp_path / "mamba", "mamba", DECODER_ONLY["mamba"])
    with pytest.raises(UserError, match=r"cannot work with a prompt: .*; leave out quantization=int8, or use another"):
        FrozenBackbone(str(folder), INT8)


def test_a_row_of_zeros_in_eight_bits():
    matrix = torch.tensor([[0.0, 0.0], [-254.0, 127.0]])
    layer = EightBitLinear(matrix, None)
    assert layer.weight.tolist() == [[0, 0], [-127, 64]]  # 63.5 scales, rounded to even
    assert layer(torch.eye(2)).T.tolist() == [[0.0, 0.0], [-254.0, 128.0]]


def test_without_its_package(folder, monkeypatch):
    monkeypatch.setattr("mpt.backbone.quantized.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"nf4 takes bitsandbytes and accelerate, not installed here: .*\[quantization\]"
    ):
        FrozenBackbone(folder, NF4)


@pytest.mark.parametrize("options", [INT8, NF4])
@pytest.mark.parametrize("kind", [FineTuning, LanguageModeling])
def test_learners_of_the_weights_refuse_them(kind, options, folder):
    with pytest.raises(UserError, match=rf"{kind.__name__} learns the backbone's weights, and quantised"):
        kind(folder, backbone_options=options).build(())
