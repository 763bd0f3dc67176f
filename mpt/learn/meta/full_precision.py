"""Arithmetic in full float32, for differences that autocast or TF32 would drown in rounding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def is_reduced(device: torch.device) -> bool:
    """Whether products on this device are now taken in fewer bits than float32 has."""
    return torch.is_autocast_enabled(device.type) or torch.get_float32_matmul_precision() != "highest"


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 inside; as before afterwards."""
    before = torch.get_float32_matmul_precision()
    if before != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if before != "highest":
            torch.set_float32_matmul_precision(before)
