"""FoMAML: MAML without its Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.inner_loop import Objective, descend, gradient_of


class FoMAML(MetaAlgorithm):
    """First-order MAML (Finn et al. 2017, section 5.2): the query loss's gradient at the adapted prompt, as it is.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set.
    """

    learns_rates = True

    def __call__(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None = None
    ) -> MetaGradient:
        trajectory, adapted = descend(loss, prompt, support, self.resolve_rate(rate), self.inner_steps)
        query_loss, gradient = gradient_of(loss, adapted, query)
        rate_gradient = None
        if rate is not None:
            travelled = torch.stack([step.gradient for step in trajectory]).sum(0)
            rate_gradient = -(gradient * travelled).sum_to_size(rate.shape)
        return MetaGradient.of(gradient, query_loss, adapted, trajectory[0], loss, rate_gradient)
