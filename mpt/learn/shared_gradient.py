"""A gradient that several devices add up by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpt.util.errors import Diverged


def devices() -> int:
    """How many processes learn together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def stop_together(trouble: str | None, device: torch.device, kind: type[Diverged] = Diverged) -> None:
    """Stop on every device if one of them is in trouble; none would wait for it forever.

    Raises:
        kind: with the first device's sentence.
    """
    said: list[str | None] = [trouble]
    if devices() > 1:
        raised = torch.tensor(float(trouble is not None), device=device)
        torch.distributed.all_reduce(raised)
        if raised:
            said = [None] * devices()
            torch.distributed.all_gather_object(said, trouble)
    first = next((sentence for sentence in said if sentence), None)
    if first is not None:
        raise kind(first)


class SharedGradient:
    """Sums weighted gradients of a few small parameters over episodes and devices, then hands them over.

    Lightning's DDP reduces what a backward pass left; meta-gradients come from none, and higher-order ones it
    does not support. Sums are kept in float64, so that how episodes are dealt out does not show in float32.

    Args:
        parameters: what the gradients are of.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        # Apple's GPUs have no float64.
        kinds = [torch.float32 if weight.device.type == "mps" else torch.float64 for weight in parameters]
        self.sums = [torch.zeros_like(weight, dtype=kind) for weight, kind in zip(parameters, kinds, strict=True)]

    def add(self, gradients: Sequence[Tensor], weight: float) -> None:
        """Add one episode's gradients."""
        for total, gradient in zip(self.sums, gradients, strict=True):
            total.add_(gradient, alpha=weight)

    def hand_over(self) -> None:
        """Reduce over the devices, set each parameter's ``grad`` and begin anew."""
        for weight, total in zip(self.parameters, self.sums, strict=True):
            if devices() > 1:
                torch.distributed.all_reduce(total)
            weight.grad = total.to(weight.dtype)
            total.zero_()
