"""MAML and FoMAML by a library that wraps the prompt module alone: what the wrappers have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.attention import twice_differentiable
from mpt.learn.meta.inner_loop import Objective
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError
from mpt.util.random_state import RandomState


class UnrolledPrompt(Protocol):
    """A prompt on its way through the inner loop, in a library's hands."""

    def prompt(self) -> Tensor:
        """As it is now, ``[P, H]``."""

    def step(self, loss: Tensor) -> None:
        """One gradient step on a support loss."""

    def gradient(self, query_loss: Tensor) -> Tensor:
        """Of the query loss, back to the start or, to first order, to the adapted prompt alone; ``[P, H]``."""


class WrappedMAML(MetaAlgorithm):
    """Base of the wrappers. Subclasses say which library and which order.

    The library sees a :class:`~mpt.prompt.soft.SoftPrompt`, never the backbone, whose weights it would clone at each
    step. To second order the graph of all inner steps is held until the query loss, under attention that can be
    differentiated twice; to first order attention stays as it is.
    """

    first_order = False
    batches_episodes = False

    def __call__(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None = None
    ) -> MetaGradient:
        if rate is not None:
            raise UserError(
                f"model.learn_inner_lr: {type(self).__name__} has one fixed inner_lr; MAML and FoMAML learn inner rates"
            )
        state = RandomState(prompt.device)
        with torch.enable_grad(), self._attention():
            unrolled = self._unroll(SoftPrompt(prompt))
            support_loss = None
            for k in range(self.inner_steps):
                value = loss(unrolled.prompt(), support[k % len(support)])
                unrolled.step(value)
                support_loss = value.detach() if support_loss is None else support_loss
            query_loss = loss(unrolled.prompt(), query)
            gradient = unrolled.gradient(query_loss)
        adapted = unrolled.prompt().detach()

        def support_loss_after() -> Tensor:
            with torch.no_grad(), state.replayed(), self._attention():
                return loss(adapted, support[0])

        assert support_loss is not None
        return MetaGradient(gradient.detach(), adapted, support_loss, query_loss.detach(), support_loss_after)

    @abstractmethod
    def _unroll(self, module: SoftPrompt) -> UnrolledPrompt:
        """The module at the start of an inner loop."""

    def _attention(self) -> AbstractContextManager[None]:
        return nullcontext() if self.first_order else twice_differentiable()
