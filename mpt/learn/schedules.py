"""Learning-rate schedules for training whole models."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupLinear(LambdaLR):
    """Rises linearly over ``warmup`` steps, then falls linearly to ``floor`` of the rate at step ``total``.

    Args:
        optimizer: whose groups' rates are scheduled.
        total: optimiser steps of the run.
        warmup: steps of the rise.
        floor: last factor on the rate.
    """

    def __init__(self, optimizer: Optimizer, total: int, warmup: int = 200, floor: float = 0.02) -> None:
        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return max(floor, 1 - (step - warmup) / max(1, total - warmup))

        super().__init__(optimizer, factor)
