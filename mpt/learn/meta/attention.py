"""Attention that can be differentiated twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Scaled-dot-product attention by its plain kernel; the fused ones have no double backward.

    The choice of kernels that was there before is restored. Eager attention is not concerned.
    """
    with sdpa_kernel(SDPBackend.MATH):
        yield
