"""The outer optimiser's step, along a meta-gradient that episodes and devices add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mpt.learn.shared_gradient import SharedGradient
from mpt.util.errors import KEPT, Diverged


class OuterStep:
    """Sums up meta-batches, clips their gradient, steps along it, and takes back a step to what is not finite.

    Args:
        learned: the prompt, and whatever is learned beside it.
        batches: meta-batches of a step.
        clip: largest norm of the prompt's gradient; none if not given.
    """

    def __init__(self, learned: Sequence[nn.Parameter], batches: int, clip: float | None) -> None:
        self.learned, self.batches, self.clip = learned, batches, clip
        self.sum = SharedGradient(learned)
        # Counted here: a resumed run's batch_idx may stand in the middle of a step whose gradients are lost.
        self._counted = 0

    def add(self, gradients: Sequence[Tensor], size: int) -> None:
        """Add the gradients of one episode of a meta-batch of this size."""
        self.sum.add(gradients, 1 / (size * self.batches))

    def end_batch(self) -> bool:
        """Count a meta-batch; whether the next step is complete."""
        self._counted = (self._counted + 1) % self.batches
        return self._counted == 0

    def take(self, optimizer: Any, number: int) -> None:
        """Take the step of this number.

        Args:
            optimizer: torch's, or Lightning's around one.

        Raises:
            Diverged: something learned would no longer be finite; it is left as it was before.
        """
        before = [weight.detach().clone() for weight in self.learned]
        self.sum.hand_over()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.learned[0], self.clip)
        optimizer.step()
        optimizer.zero_grad()
        if all(weight.isfinite().all() for weight in self.learned):
            return
        with torch.no_grad():
            for weight, value in zip(self.learned, before, strict=True):
                weight.copy_(value)
        raise Diverged(
            f"the outer optimiser made the prompt infinite or NaN at step {number}, at outer rate "
            f"{optimizer.param_groups[0]['lr']:g}; lower model.optimizer.lr or set "
            f"model.gradient_clip_val.{KEPT if number else ''}"
        )
