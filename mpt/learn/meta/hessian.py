"""Hessian-vector products of a support loss, each by itself, so that memory does not grow with the inner steps."""

from __future__ import annotations

import torch
from torch import Tensor

from mpt.learn.meta.attention import twice_differentiable
from mpt.learn.meta.full_precision import full_precision, is_reduced
from mpt.learn.meta.inner_loop import InnerStep, Objective, gradient_of

STEP = 4e-4
"""Length of a difference's step, in mean norms of a prompt row. Measured on mpt-tiny, along trajectories of 1 to 10
inner steps: three times shorter the rounding of float32, three times longer the truncation costs more."""

CURVED = 1.2e-3
"""Change of the gradient over a step, in its own norm, above which the other side is taken too. By measurement on
mpt-tiny one side alone is off by up to 6 % of a product above it, and by up to 1 % below."""


def finite_difference(loss: Objective, step: InnerStep, vector: Tensor) -> Tensor:
    """``H v`` as a difference of gradients about the step's prompt, ``[..., P, H]``, under the step's dropout mask.

    The gradient at the prompt is known, so a difference to one side costs one more. It is in error by half of what the
    Hessian itself changes over the step, which rounding forbids to shorten. So where the gradient changes much, the
    other side is taken too, and that error cancels. Of several prompts side by side each goes by its own gradient.

    Where arithmetic is reduced (autocast, TF32) the known gradient is too coarse: then both sides are taken, in
    float32. Both draw one mask; on CUDA it need not be the inner step's, since kernels of another type may draw in
    another order.
    """
    length, size = STEP * _scale(step.prompt), _norm(vector)
    aside = vector * (length / size)
    if is_reduced(step.prompt.device):
        with full_precision(step.prompt.device):
            ahead, behind = (_gradient(loss, step, step.prompt + side * aside) for side in (1, -1))
            return (ahead - behind) * (size / (2 * length))
    ahead = _gradient(loss, step, step.prompt + aside)
    change = ahead - step.gradient
    product = change * (size / length)
    curved = _norm(change) > CURVED * _norm(step.gradient)
    if not curved.any():
        return product
    behind = _gradient(loss, step, step.prompt - aside)
    return torch.where(curved, (ahead - behind) * (size / (2 * length)), product)


def double_backward(loss: Objective, step: InnerStep, vector: Tensor) -> Tensor:
    """``H v`` by differentiating the gradient, ``[P, H]``, under the step's own dropout mask."""
    with step.state.replayed(), twice_differentiable(), torch.enable_grad():
        point = step.prompt.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(point, step.batch).sum(), point, create_graph=True)
        (product,) = torch.autograd.grad(gradient, point, vector)
    return product


def _gradient(loss: Objective, step: InnerStep, prompt: Tensor) -> Tensor:
    with step.state.replayed():
        return gradient_of(loss, prompt, step.batch)[1]


def _scale(prompt: Tensor) -> Tensor:
    """Mean norm of a row of each prompt, ``[..., 1, 1]``; 1 for a prompt of zeros, which has no scale of its own."""
    norm = prompt.norm(dim=-1, keepdim=True).mean(dim=-2, keepdim=True)
    return torch.where(norm > 0, norm, torch.ones_like(norm))


def _norm(vector: Tensor) -> Tensor:
    """Norm of each prompt-shaped vector, ``[..., 1, 1]``."""
    # A vector of zeros gives a product of zeros, not 0 / 0.
    norm: Tensor = vector.norm(dim=(-2, -1), keepdim=True)
    return norm.clamp_min(torch.finfo(vector.dtype).tiny)
