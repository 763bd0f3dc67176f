"""What a prompt needs of the memory at the least, so that what cannot be is told before it is tried."""

from __future__ import annotations

import torch

from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError
from mpt.util.machine import free_on

_NUMBER = 4
"""Bytes of a float32."""
_COPIES = 3
"""Of a batch's prompt rows, at once, at the least: as embedded, as a layer reads and as it writes them."""


def refuse_too_large(
    backbone: FrozenBackbone, prompt_length: int, rows: int = 1, device: torch.device | None = None
) -> None:
    """Refuse a prompt, a batch or beams that no computation could hold.

    Args:
        prompt_length: P.
        rows: of a batch, B.
        device: where it is computed; the CPU if not given.

    Raises:
        UserError: with what is needed at the least, and what is free.
    """
    free = free_on(device or torch.device("cpu"))
    if free is None:
        return
    width, beams = backbone.hidden_size, backbone.options.num_beams
    answered = beams * len(backbone.tokenizer) * _NUMBER
    learned = (prompt_length + 1) * width * _NUMBER * (1 + _COPIES * rows)
    if max(learned, answered) <= free:
        return
    what = f"num_beams {beams}" if answered > learned else f"prompt_length {prompt_length}"
    what += f" with batches of {rows}" if answered <= learned and rows > 1 else ""
    needed = f"{max(learned, answered) / 2**30:,.1f} GB"
    raise UserError(f"{what} needs {needed} of memory at the least, and {free / 2**30:,.1f} GB are free; lower it")
