"""The inner loop: gradient steps on the support batches, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.util.random_state import RandomState

Objective = Callable[[Tensor, Batch], Tensor]
"""Loss of a prompt ``[P, H]`` on a batch, a scalar; or of M prompts ``[M, P, H]``, each on its own rows, ``[M]``."""


@dataclass(frozen=True)
class InnerStep:
    """One step of an inner loop: a few small tensors.

    Attributes:
        prompt: where it started, ``[P, H]``.
        batch: its support batch.
        loss: there, a scalar.
        gradient: there, ``[P, H]``.
        state: of the random generators before its loss, so that its dropout mask can be drawn again.
    """

    prompt: Tensor
    batch: Batch
    loss: Tensor
    gradient: Tensor
    state: RandomState


def gradient_of(loss: Objective, prompt: Tensor, batch: Batch, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """Loss at a prompt, a scalar or ``[M]``, and its gradient in the prompt's shape.

    Args:
        create_graph: whether the gradient carries the graph back to the prompt, and through it; nothing does if not.
    """
    with torch.enable_grad():
        point = prompt if create_graph else prompt.detach().requires_grad_()
        value = loss(point, batch)
        (gradient,) = torch.autograd.grad(value.sum(), point, create_graph=create_graph)
    return value.detach(), gradient


def descend(
    loss: Objective,
    prompt: Tensor,
    support: Sequence[Batch],
    rate: Tensor | float,
    steps: int,
    create_graph: bool = False,
) -> tuple[list[InnerStep], Tensor]:
    """``steps`` steps of gradient descent from a prompt: the trajectory, and the adapted prompt ``[P, H]``.

    Args:
        create_graph: whether the adapted prompt carries one graph of all steps back to the prompt and the rate.
    """
    point, trajectory = prompt if create_graph else prompt.detach(), []
    for k in range(steps):
        batch, state = support[k % len(support)], RandomState(prompt.device)
        value, gradient = gradient_of(loss, point, batch, create_graph)
        trajectory.append(InnerStep(point, batch, value, gradient, state))
        point = point - rate * gradient
    return trajectory, point


@torch.no_grad()
def loss_after(loss: Objective, adapted: Tensor, batch: Batch, state: RandomState) -> Tensor:
    """The loss of an inner step's batch at another prompt, under the step's dropout mask; a scalar."""
    with state.replayed():
        return loss(adapted, batch)
