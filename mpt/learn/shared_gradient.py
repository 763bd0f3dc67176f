"""A gradient that several devices add up by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpt.errors import UserError


class SharedGradient:
    """Sums weighted gradients of a few small parameters over episodes and devices, then hands them over.

    Lightning's DDP reduces what a backward pass left; meta-gradients come from none, and higher-order ones it
    does not support. Sums are kept in float64, so that how episodes are dealt out does not show in float32.

    Attributes:
        batches: how many meta-batches are in the sum; for whoever adds them to count.

    Args:
        parameters: what the gradients are of.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.batches = 0
        self.sums = [torch.zeros_like(weight, dtype=torch.float64) for weight in parameters]

    @property
    def devices(self) -> int:
        """How many processes share the sum."""
        return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1

    def add(self, gradients: Sequence[Tensor], weight: float) -> None:
        """Add one episode's gradients."""
        for total, gradient in zip(self.sums, gradients, strict=True):
            total.add_(gradient, alpha=weight)

    def refuse(self, trouble: str | None) -> None:
        """Stop on every device if one of them is in trouble; none would wait for it forever.

        Raises:
            UserError: the first device's sentence.
        """
        said: list[str | None] = [trouble]
        if self.devices > 1:
            raised = torch.full_like(self.sums[0].view(-1)[:1], trouble is not None)
            torch.distributed.all_reduce(raised)
            if raised:
                said = [None] * self.devices
                torch.distributed.all_gather_object(said, trouble)
        first = next((sentence for sentence in said if sentence), None)
        if first is not None:
            raise UserError(first)

    def hand_over(self) -> None:
        """Reduce over the devices, set each parameter's ``grad`` and begin anew."""
        for weight, total in zip(self.parameters, self.sums, strict=True):
            if self.devices > 1:
                torch.distributed.all_reduce(total)
            weight.grad = total.to(weight.dtype)
            total.zero_()
        self.batches = 0
