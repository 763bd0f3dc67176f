"""The optimiser prompt tuning was published with."""

from collections.abc import Iterable
from typing import Any

from transformers.optimization import Adafactor


class PromptAdafactor(Adafactor):
    """Adafactor at a constant rate, without scaling by the parameter's size (Lester et al. 2021).

    Args:
        params: what to optimise.
        lr: constant learning rate.
        weight_decay: decoupled weight decay, scaled by the rate (Lester et al.: 1e-5).
        decay_rate: exponent of the second moment's decay.
        clip_threshold: largest root mean square of an update.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.3,
        weight_decay: float = 1e-5,
        decay_rate: float = -0.8,
        clip_threshold: float = 1.0,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            params,
            lr=lr,
            weight_decay=weight_decay,
            decay_rate=decay_rate,
            clip_threshold=clip_threshold,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )
