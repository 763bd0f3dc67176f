"""Frozen linear layers in eight bits: a byte for each weight, a scale for each row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from mpt.util.errors import UserError


class EightBitLinear(nn.Module):
    """A linear layer that computes with the numbers that its bytes stand for, and never learns.

    Row i of its matrix is ``weight[i] * scale[i]``, where the largest weight of a row is 127 scales: no weight is off
    by more than half a scale. The matrix is multiplied out as it is used, in the forward and again in the backward
    pass, so that no graph holds it.

    Args:
        matrix: ``[out, in]``.
        bias: ``[out]``, kept as it is, or None.

    Attributes:
        weight: ``[out, in]``, int8.
        scale: ``[out, 1]``, float32.
    """

    def __init__(self, matrix: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        scale = matrix.detach().float().abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        whole = (matrix.detach() / scale).round().to(torch.int8)
        self.weight = nn.Parameter(whole, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = bias

    def forward(self, values: Tensor) -> Tensor:
        """``[..., in]`` to ``[..., out]``."""
        product: Tensor = _Product.apply(values, self.weight, self.scale, False)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias.to(product.dtype)


class _Product(torch.autograd.Function):
    """Values times the matrix or its transpose. Its gradient is another such product, and so on for every order.

    Plain operators would keep the multiplied-out matrix of each layer for the backward pass, which is all that bytes
    save.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, scale: Tensor, transposed: bool) -> Tensor:
        ctx.save_for_backward(weight, scale)
        ctx.transposed = transposed
        matrix = (weight * scale).to(values.dtype)
        return functional.linear(values, matrix.T if transposed else matrix)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        product = _Product.apply(gradient, *ctx.saved_tensors, not ctx.transposed)  # type: ignore[no-untyped-call]
        return product, None, None, None


def to_eight_bits(model: Any, name: str) -> None:
    """Put an :class:`EightBitLinear` in the place of a model's linear layers.

    The output layer and layers that share their weights stay as they are.

    Args:
        model: a transformers model.
        name: what it is called, for errors.

    Raises:
        UserError: it has no such layer.
    """
    owners = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    output = model.get_output_embeddings()
    found = [
        path
        for path, module in model.named_modules()
        if type(module) in (nn.Linear, Conv1D) and module is not output and owners[id(module.weight)] == 1
    ]
    if not found:
        raise UserError(
            f"backbone {name} has no linear layers that could be kept in eight bits; leave out "
            "backbone_options.quantization int8"
        )
    for path in found:  # one at a time: the float weights of each are given up before the next
        module = model.get_submodule(path)
        matrix = module.weight.T if isinstance(module, Conv1D) else module.weight
        model.set_submodule(path, EightBitLinear(matrix.contiguous(), module.bias))
