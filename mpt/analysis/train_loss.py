"""The loss of a source prompt on a target's train examples: the plain baseline among the measures of transfer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.tasks.task import Example, FewShot

_ROWS = 32
"""Examples that are read at once."""


def in_parts(draw: FewShot) -> Iterator[list[Example]]:
    """A draw's train examples, as many at once as are read at once."""
    for start in range(0, len(draw.train), _ROWS):
        yield draw.train[start : start + _ROWS]


@torch.no_grad()
def mean_loss(backbone: FrozenBackbone, prompt: Tensor, draw: FewShot) -> float:
    """Mean loss per target token of a draw's train examples behind a prompt ``[P, H]``."""
    total, tokens = 0.0, 0
    with backbone.in_mode(training=False):
        for part in in_parts(draw):
            batch = backbone.encode([one.input for one in part], [one.targets[0] for one in part])
            count = int(batch.target_lengths.sum())
            total, tokens = total + float(token_mean(backbone.loss(prompt, batch), batch)) * count, tokens + count
    return total / tokens
