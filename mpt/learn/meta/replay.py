"""One dropout mask, twice: a difference of two losses means nothing if each drew its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class RandomState:
    """The state, now, of the generators that dropout on a device draws from."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.host = torch.default_generator.get_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

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
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
