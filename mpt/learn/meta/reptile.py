"""Reptile: towards the adapted prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.inner_loop import Objective, descend
from mpt.util.errors import UserError


class Reptile(MetaAlgorithm):
    """Reptile (Nichol et al. 2018): the pseudo-gradient is the start minus the adapted prompt.

    The query batch is only looked at: its loss is reported. With an outer optimiser that does not normalise
    (``torch.optim.SGD``) the outer rate is Nichol et al.'s step size epsilon.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set; with one alone it is joint training.
    """

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 10) -> None:
        super().__init__(inner_lr, inner_steps)

    def __call__(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None = None
    ) -> MetaGradient:
        if rate is not None:
            raise UserError(
                "model.learn_inner_lr: Reptile's pseudo-gradient knows no inner rates; MAML and FoMAML learn them"
            )
        trajectory, adapted = descend(loss, prompt, support, self.inner_lr, self.inner_steps)
        with torch.no_grad():
            query_loss = loss(adapted, query)
        return MetaGradient.of(prompt.detach() - adapted, query_loss, adapted, trajectory[0], loss)
