"""Whether an inner loop ran away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

EXPLODED = 100.0
"""An inner loop that carries a prompt this many times its own norm away has exploded."""


def first_exploded_episode(
    start: Tensor, adapted: Tensor, scale: float, tasks: Sequence[str], numbers: Mapping[str, Tensor]
) -> tuple[str, str] | None:
    """Task of the first episode whose inner loop ran away, and what is to be seen of that.

    Args:
        start: the prompt, ``[P, H]``.
        adapted: after the inner steps, ``[P, H]``, or ``[M, P, H]`` of M episodes.
        scale: norm of an ordinary prompt, by which a very small one (or one of zeros) is measured.
        tasks: the M episodes' tasks.
        numbers: what must be finite of each episode, ``[M]`` or a scalar, by what it is called.
    """
    moved = (adapted - start).norm(dim=(-2, -1)) / start.norm().clamp_min(scale)
    # One transfer from the device, not one for each number.
    rows = torch.stack([moved, *numbers.values()]).view(1 + len(numbers), -1).T.tolist()
    for task, (distance, *values) in zip(tasks, rows, strict=True):
        if not all(math.isfinite(value) for value in values) or not distance < EXPLODED:
            named = [f"{name} {value:.4g}" for name, value in zip(numbers, values, strict=True)]
            named.append(f"prompt moved by {distance:.3g} times its norm")
            return task, ", ".join(named)
    return None
