"""Objectives in float64 whose meta-gradients are known: quadratics, and a curved one for finite differences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS, WIDTH = 2, 3
SIZE = ROWS * WIDTH


@dataclass(frozen=True)
class Quadratic:
    """``0.5 (p - c)' A (p - c)`` of a flattened prompt p, A symmetric and positive."""

    a: Tensor
    c: Tensor

    def contraction(self, lr: Tensor | float) -> Tensor:
        """``I - a A``, for one rate or one for each entry."""
        rate = torch.as_tensor(lr, dtype=torch.float64).expand(SIZE)
        return torch.eye(SIZE, dtype=torch.float64) - rate[:, None] * self.a

    def step(self, prompt: Tensor, lr: Tensor | float) -> Tensor:
        """A gradient step of a flat prompt: its distance to the minimum contracts."""
        return self.c + self.contraction(lr) @ (prompt - self.c)

    def gradient(self, prompt: Tensor) -> Tensor:
        return self.a @ (prompt - self.c)


def loss(prompt: Tensor, batch: Quadratic) -> Tensor:
    offset = prompt.flatten() - batch.c.to(prompt.dtype)
    return 0.5 * offset @ batch.a.to(prompt.dtype) @ offset


def curved(prompt: Tensor, batch: Quadratic) -> Tensor:
    """Not quadratic: its Hessian is another at every step."""
    return loss(prompt, batch) + (prompt.flatten() @ batch.a / 4).sin().sum()


def quadratics(count: int, seed: int = 0) -> list[Quadratic]:
    """Different ones, whose matrices do not commute; eigenvalues up to about 10."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(count, SIZE, SIZE, generator=generator, dtype=torch.float64)
    centres = torch.randn(count, SIZE, generator=generator, dtype=torch.float64)
    return [Quadratic(factor @ factor.T / 2, centre) for factor, centre in zip(factors, centres, strict=True)]


def start(seed: int = 1) -> Tensor:
    """A prompt ``[P, H]``."""
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
