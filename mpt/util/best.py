"""What was best so far."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Best:
    """The highest score on dev so far: of equal ones the first, as in CrossFit's few-shot protocol.

    Attributes:
        score: minus infinity before the first.
        step: after which it was reached.
    """

    score: float = -math.inf
    step: int | None = None

    def beaten_by(self, score: float) -> bool:
        """Whether what has this score is to be kept from now on."""
        return score > self.score
