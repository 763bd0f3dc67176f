"""The frozen matrices of a model under autocast, rounded once and not at every pass.

Autocast keeps what it rounded only of weights that are learned, and only within one pass. A frozen model would be read
and rounded whole for every token that it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

LARGEST = 2_000_000_000
"""Weights of which a rounded copy is kept: of more it could pass the memory."""


class Rounding:
    """Rounded copies of a model's frozen float32 matrices, half as many bytes again.

    What the model computes is the same to the last bit: autocast would round them to the same. What is not the matrix
    of a linear layer (norms, tables of embeddings, what is learned) stays as it is.

    Args:
        model: whose matrices they are. They may be moved or changed: what no longer belongs to a copy is rounded anew.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._copies: dict[nn.Module, tuple[tuple[Any, ...], nn.Parameter]] = {}
        self._within = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """With the copies in the matrices' places where autocast is on, and afterwards as before."""
        kind = next(self.model.parameters()).device.type
        if self._within or not torch.is_autocast_enabled(kind):
            yield
            return
        frozen = self._frozen()
        self._within = True
        try:
            for module, weight in frozen:
                module.weight = self._copy(module, weight, torch.get_autocast_dtype(kind))
            yield
        finally:
            for module, weight in frozen:
                module.weight = weight
            self._within = False

    def _frozen(self) -> list[tuple[Any, nn.Parameter]]:
        linear = [module for module in self.model.modules() if isinstance(module, nn.Linear | Conv1D)]
        found = [(module, module.weight) for module in linear if _is_rounded(module.weight)]
        return found if sum(weight.numel() for _, weight in found) <= LARGEST else []

    def _copy(self, module: nn.Module, weight: nn.Parameter, dtype: torch.dtype) -> nn.Parameter:
        of = (dtype, weight.device, weight.data_ptr(), weight._version)
        if module not in self._copies or self._copies[module][0] != of:
            self._copies[module] = of, nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        return self._copies[module][1]


def _is_rounded(weight: Tensor) -> bool:
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and not weight.requires_grad
