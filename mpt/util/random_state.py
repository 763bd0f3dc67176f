"""States of the random generators, kept and set again, so that one dropout mask is drawn twice.

A difference of two losses means nothing if each drew its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class RandomState:
    """The state, now, of the generators that dropout on a device draws from."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.host = torch.default_generator.get_state()
        self.own = _own(device).get_rng_state() if _own(device) else None

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw what was drawn from this state on; afterwards the generators go on as if nothing had happened."""
        now = RandomState(self.device)
        self._restore()
        try:
            yield
        finally:
            now._restore()

    def _restore(self) -> None:
        torch.default_generator.set_state(self.host)
        if self.own is not None:
            _own(self.device).set_rng_state(self.own)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that dropout on a device draws from."""
    # torch.manual_seed also formats a stack trace for devices that are not there: 0.3 ms each time.
    torch.default_generator.manual_seed(seed)
    if _own(device):
        _own(device).manual_seed(seed)


def _own(device: torch.device) -> Any:
    """The module of an accelerator with a generator of its own (its current device, as Lightning sets it)."""
    return torch.get_device_module(device) if device.type in ("cuda", "mps", "xpu") else None
