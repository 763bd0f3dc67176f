"""Hessian-vector products of a support loss, each by itself, so that memory does not grow with the inner steps."""

from __future__ import annotations

import torch
from torch import Tensor

from mpt.learn.meta.attention import twice_differentiable
from mpt.learn.meta.full_precision import full_precision, is_reduced
from mpt.learn.meta.inner_loop import InnerStep, Objective, gradient_of

ONE_SIDED_STEP, CENTRAL_STEP = 1e-4, 5e-4
"""Length of a finite difference's step, in mean norms of a prompt row. Measured on mpt-tiny with dropout, 1 to 10
inner steps: three times longer the truncation, three times shorter the rounding of float32 costs more."""


def finite_difference(loss: Objective, step: InnerStep, vector: Tensor) -> Tensor:
    """``H v`` as a difference of gradients at and beside the step's prompt, ``[P, H]``.

    The gradient there is already known, so a product costs one more gradient, under the step's own dropout mask.
    Where arithmetic is reduced (autocast, TF32) the known gradient is too coarse: then both sides are taken, in
    float32. Both draw one mask; on CUDA it need not be the inner step's, since kernels of another type may draw in
    another order.
    """
    if is_reduced(step.prompt.device):
        with full_precision(step.prompt.device):
            length = CENTRAL_STEP * _scale(step.prompt)
            size = _norm(vector)
            ahead = _gradient(loss, step, step.prompt + vector * (length / size))
            behind = _gradient(loss, step, step.prompt - vector * (length / size))
            return (ahead - behind) * (size / (2 * length))
    length = ONE_SIDED_STEP * _scale(step.prompt)
    size = _norm(vector)
    ahead = _gradient(loss, step, step.prompt + vector * (length / size))
    return (ahead - step.gradient) * (size / length)


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
    return vector.norm(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(vector.dtype).tiny)
