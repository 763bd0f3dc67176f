"""Probabilities of labels: made trustworthy by temperature or contextual calibration, and how far off they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs that say nothing (Zhao et al. 2021, section 5)."""

_COLDEST, _HOTTEST = 0.01, 100.0


@dataclass(frozen=True)
class Calibration:
    """How scores of n labels become probabilities: ``softmax((scores - baseline) / temperature)``.

    Attributes:
        temperature: above 1 makes probabilities more alike (Guo et al. 2017).
        baseline: what each label scores without an input worth the name, n; none if empty (Zhao et al. 2021).
    """

    temperature: float = 1.0
    baseline: tuple[float, ...] = ()

    def probabilities(self, scores: Tensor) -> Tensor:
        """Of each label.

        Args:
            scores: ``[n]`` or ``[B, n]``.
        """
        if self.baseline:
            scores = scores - torch.tensor(self.baseline, dtype=scores.dtype)
        return (scores / self.temperature).softmax(-1)

    def with_temperature(self, scores: Tensor, right: Sequence[int]) -> Calibration:
        """With the temperature by which the right labels of some examples are likeliest.

        Args:
            scores: ``[B, n]``.
            right: number of each example's label.
        """
        gold = torch.tensor(right)

        def loss(log_temperature: float) -> float:
            warm = replace(self, temperature=math.exp(log_temperature))
            return -float(warm.probabilities(scores).clamp_min(1e-300).log().gather(1, gold[:, None]).mean())

        bounds = (math.log(_COLDEST), math.log(_HOTTEST))
        return replace(self, temperature=math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))

    def with_baseline(self, scores: Tensor) -> Calibration:
        """With the baseline of inputs that say nothing: the logarithm of the labels' mean probabilities there.

        Args:
            scores: of such inputs, ``[B, n]``.
        """
        return replace(self, baseline=tuple(scores.softmax(-1).mean(0).log().tolist()))


def calibration_error(probabilities: Sequence[float], hits: Sequence[bool], bins: int = 15) -> float:
    """Expected calibration error: how far the answers' probabilities are from the share of right ones.

    The mean over equally wide bins of the distance between the share of right ones and the mean probability, by the
    bins' sizes (Guo et al. 2017, equation 3).

    Args:
        probabilities: of B answers.
        hits: whether each was right.
        bins: their number.
    """
    sure: npt.NDArray[np.float64] = np.asarray(probabilities, dtype=float)
    right = np.asarray(hits, dtype=float)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float((right[place == at] - sure[place == at]).sum())) for at in range(bins)]
    return sum(gaps) / max(1, len(sure))
