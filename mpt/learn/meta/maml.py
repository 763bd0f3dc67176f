"""MAML: the gradient of the query loss through the inner steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import Backbone
from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.attention import twice_differentiable
from mpt.learn.meta.hessian import double_backward, finite_difference
from mpt.learn.meta.inner_loop import Objective, descend, gradient_of
from mpt.util.errors import UserError

log = logging.getLogger(__name__)

Hessian = Literal["finite_difference", "exact", "graph"]

ACTIVATIONS = ("dense_act_fn", "activation_function", "hidden_act")
"""Where a configuration names the activation of its feed-forward layers: T5, BART and GPT-2, Llama."""


class MAML(MetaAlgorithm):
    """Model-agnostic meta-learning (Finn et al. 2017; equation 4 of Qin et al. 2023), with second order.

    The gradient at the start is ``(I - a H_0) ... (I - a H_{K-1}) g``, where g is the query loss's gradient at the
    adapted prompt and H_k the support loss's Hessian at inner step k. The K prompts on the way are kept and walked
    back, each product ``H_k v`` by itself; the frozen model's graph is never kept across steps.

    Args:
        inner_lr: inner learning rate, alpha.
        inner_steps: gradient steps on the support set, K.
        hessian: how products with H are taken. ``finite_difference``, the default: a difference of gradients under one
            dropout mask, in float32, to both sides where the gradient bends. It has FoMAML's memory, and over 200
            prompts and tasks of mpt-tiny at 1, 5 and 10 steps the second-order term to 0.03 % in the median and 1 %
            in 99 of 100 (experiments/benchmarks/hessian_error.py); a ReLU's kinks spoil that. ``exact``: double
            backward of one step at a time. ``graph``: one graph through all steps, the textbook's way, whose memory
            grows with K.
    """

    learns_rates = True

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 1, hessian: Hessian = "finite_difference") -> None:
        super().__init__(inner_lr, inner_steps)
        if hessian not in ("finite_difference", "exact", "graph"):
            raise UserError(f"model.algorithm.hessian is finite_difference, exact or graph, not {hessian!r}")
        self.hessian = hessian

    @property
    def needs_double_backward(self) -> bool:  # type: ignore[override]
        return self.hessian != "finite_difference"

    def check_backbone(self, backbone: Backbone) -> None:
        super().check_backbone(backbone)
        if self.hessian != "finite_difference":
            return
        if "relu" in (getattr(backbone.config, name, None) for name in ACTIVATIONS):
            self.warn_of_kinks(backbone.name)
        weights = next(backbone.model.parameters()).dtype
        if weights != torch.float32:
            raise UserError(
                f"finite differences drown in the rounding of {weights} weights; "
                "set model.algorithm.hessian exact, or backbone_options.dtype float32 (with precision bf16-mixed)"
            )

    def warn_of_kinks(self, where: str) -> None:
        if self.hessian == "finite_difference":
            log.warning(
                "%s has ReLU layers, whose kinks a finite difference steps over: its second-order term can be off by "
                "25 %% and more from double backward's; set model.algorithm.hessian exact",
                where,
            )

    def __call__(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None = None
    ) -> MetaGradient:
        if self.hessian == "graph":
            return self._through_one_graph(loss, prompt, support, query, rate)
        alpha = self.resolve_rate(rate)
        with self._trajectory_attention(prompt.device):
            trajectory, adapted = descend(loss, prompt, support, alpha, self.inner_steps)
        query_loss, vector = gradient_of(loss, adapted, query)
        product = double_backward if self.hessian == "exact" else finite_difference
        rate_gradient = None if rate is None else torch.zeros_like(rate)
        for step in reversed(trajectory):
            if rate_gradient is not None:
                rate_gradient -= (vector * step.gradient).sum_to_size(rate_gradient.shape)
            vector = vector - product(loss, step, alpha * vector)
        return MetaGradient.of(vector, query_loss, adapted, trajectory[0], self._as_in_step(loss), rate_gradient)

    def _trajectory_attention(self, device: torch.device) -> AbstractContextManager[None]:
        # CUDA's fused kernels draw dropout masks of their own, which the differentiable one could not draw again.
        return twice_differentiable() if self.hessian == "exact" and device.type == "cuda" else nullcontext()

    def _as_in_step(self, loss: Objective) -> Objective:
        """The loss by the attention of the inner steps, hence under their masks."""

        def as_in_step(prompt: Tensor, batch: Batch) -> Tensor:
            with twice_differentiable() if self.needs_double_backward else nullcontext():
                return loss(prompt, batch)

        return as_in_step

    def _through_one_graph(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None
    ) -> MetaGradient:
        with torch.enable_grad(), twice_differentiable():
            start = prompt.detach().requires_grad_()
            alpha = None if rate is None else rate.detach().requires_grad_()
            step = self.inner_lr if alpha is None else alpha
            trajectory, adapted = descend(loss, start, support, step, self.inner_steps, create_graph=True)
            query_loss = loss(adapted, query)
            learned = [start] if alpha is None else [start, alpha]
            gradients = torch.autograd.grad(query_loss.sum(), learned)
        return MetaGradient.of(gradients[0], query_loss, adapted, trajectory[0], self._as_in_step(loss), *gradients[1:])
