"""What was best so far."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Best:
    """The best score on dev so far: of equal ones the first, as in CrossFit's few-shot protocol.

    Attributes:
        score: minus infinity before the first.
        step: after which it was reached.
        lowest: whether less is better; then the score is infinite before the first.
    """

    score: float = -math.inf
    step: int | None = None
    lowest: bool = False

    @classmethod
    def of(cls, monitor: str | None) -> Best:
        """None so far, of a value that is logged under a name: less of a loss is better."""
        lowest = monitor is not None and monitor.endswith("loss")
        return cls(math.inf if lowest else -math.inf, lowest=lowest)

    def beaten_by(self, score: float) -> bool:
        """Whether what has this score is to be kept from now on."""
        return score < self.score if self.lowest else score > self.score
