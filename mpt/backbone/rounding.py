"""The frozen matrices of a model under autocast, rounded once and not at every pass.

Autocast keeps what it rounded only of weights that are learned, and only within one pass. A frozen model would be read
and rounded whole for every token that it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mpt.util.machine import free_on


class _Copy(NamedTuple):
    """A rounded matrix, and what it was made of: the matrix itself, and where and in which state it was."""

    weight: nn.Parameter
    state: tuple[int, int, torch.dtype]
    rounded: nn.Parameter


class Rounding:
    """Rounded copies of a model's frozen float32 matrices, half as many bytes again; none where these would fill more
    than half of the memory that is free.

    What the model computes is the same to the last bit: autocast would round them to the same. What is not the matrix
    of a linear layer (norms, tables of embeddings, what is learned) stays as it is, and so do layers that PEFT changes,
    which reads these itself.

    Args:
        model: whose matrices they are. One that is replaced or changed in place is rounded anew; a change through
            ``.data``, as PEFT merges one, is not seen and needs :meth:`forget`.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._copies: dict[nn.Module, _Copy] = {}
        self._within = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """With the copies in the matrices' places where autocast is on, and afterwards as before."""
        device = next(self.model.parameters()).device
        if self._within or not torch.is_autocast_enabled(device.type):
            yield
            return
        frozen = self._frozen()
        self._update(frozen, torch.get_autocast_dtype(device.type), device)
        self._within = True
        try:
            for module, copy in self._copies.items():
                module.weight = copy.rounded
            yield
        finally:
            for module, weight in frozen.items():
                module.weight = weight
            self._within = False

    def forget(self) -> None:
        """Drop the copies."""
        self._copies.clear()

    def _frozen(self) -> dict[nn.Module, Any]:
        return {
            part: part.weight
            for name, part in self.model.named_modules()
            if isinstance(part, nn.Linear | Conv1D) and _is_rounded(part.weight) and not name.endswith("base_layer")
        }

    def _update(self, frozen: dict[nn.Module, Any], dtype: torch.dtype, device: torch.device) -> None:
        """Have a copy of each of the matrices and no other, or none at all."""
        states = {part: (weight.data_ptr(), weight._version, dtype) for part, weight in frozen.items()}
        self._copies = {
            part: copy
            for part, copy in self._copies.items()
            if copy.weight is frozen.get(part) and copy.state == states[part]
        }
        missing = {part: weight for part, weight in frozen.items() if part not in self._copies}
        if not missing:
            return
        free = free_on(device)
        if free is not None and sum(weight.numel() * dtype.itemsize for weight in missing.values()) > free / 2:
            return self.forget()
        with torch.inference_mode(False):  # what is made within could not be learned behind later
            for part, weight in missing.items():
                rounded = nn.Parameter(weight.detach().to(dtype), requires_grad=False)
                self._copies[part] = _Copy(weight, states[part], rounded)


def _is_rounded(weight: Tensor) -> bool:
    return type(weight) is nn.Parameter and weight.dtype == torch.float32 and not weight.requires_grad
