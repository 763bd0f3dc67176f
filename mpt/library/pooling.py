"""What the two cosine similarities compare of a prompt: one vector ``[H]`` each (Vu et al. 2022, "SPoT", section 3.2).

The same lines serve NumPy's arrays, which a library's index is made of without torch, and torch's tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Measure = Literal["average_token", "per_token", "subspace", "centred"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""Names of the similarities in :mod:`mpt.library.similarity`."""

Floats = TypeVar("Floats", npt.NDArray[np.float64], "Tensor")


def direction_of_mean(prompts: Floats) -> Floats:
    """The mean of each prompt's tokens, of length one: ``[N, P, H]`` to ``[N, H]``, zero where the mean is zero."""
    return directions(prompts.mean(1))


def mean_of_directions(prompts: Floats) -> Floats:
    """The mean of each prompt's tokens after each was brought to length one: ``[N, P, H]`` to ``[N, H]``."""
    mean: Floats = directions(prompts).mean(1)
    return mean


def directions(vectors: Floats) -> Floats:
    """``[..., H]``, each of length one; zeros stay."""
    lengths = (vectors * vectors).sum(-1)[..., None] ** 0.5
    unit: Floats = vectors / (lengths + (lengths == 0))
    return unit


POOLS = {"average_token": direction_of_mean, "per_token": mean_of_directions}
"""By similarity, the pooling whose dot products it is."""
