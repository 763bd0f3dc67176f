"""Arithmetic in full float32, for differences that autocast or TF32 would drown in rounding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def is_reduced(device: torch.device) -> bool:
    """Whether products on this device are now taken in fewer bits than float32 has."""
    return torch.is_autocast_enabled(device.type) or _matmul_precision() != "highest"


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 inside; as before afterwards."""
    before = _matmul_precision()
    newer = [switch.fp32_precision for switch in _newer_switches()] if before is None else []
    try:
        if before is None:
            for switch in _newer_switches():
                switch.fp32_precision = "ieee"
        elif before != "highest":
            torch.set_float32_matmul_precision("highest")
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if before is None:
            for switch, precision in zip(_newer_switches(), newer, strict=True):
                switch.fp32_precision = precision
        elif before != "highest":
            torch.set_float32_matmul_precision(before)


def _matmul_precision() -> str | None:
    """What ``torch.set_float32_matmul_precision`` set; none where a user has set torch's newer switches, beside which
    the older one raises. The two must not be mixed: products would raise too."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _newer_switches() -> list[Any]:
    return [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]  # type: ignore[attr-defined]
