"""MAML and FoMAML through ``higher`` (Grefenstette et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpt.learn.meta.engine import UnrolledPrompt, WrappedMAML
from mpt.prompt.soft import SoftPrompt
from mpt.util.distribution import install
from mpt.util.errors import UserError


class HigherMAML(WrappedMAML):
    """MAML by ``higher.innerloop_ctx``: the same gradient as ``MAML(hessian="graph")``.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set; memory grows with them.

    Raises:
        UserError: if higher is not installed.
    """

    needs_double_backward = True

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 1) -> None:
        super().__init__(inner_lr, inner_steps)
        _higher(type(self).__name__)  # before anything is trained

    def _unroll(self, module: SoftPrompt) -> UnrolledPrompt:
        return _HigherLoop(_higher(type(self).__name__), module, self.inner_lr, self.first_order)


class HigherFoMAML(HigherMAML):
    """First-order MAML by ``higher.innerloop_ctx`` without higher gradients.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set.

    Raises:
        UserError: if higher is not installed.
    """

    first_order = True
    needs_double_backward = False


class _HigherLoop:
    def __init__(self, higher: Any, module: SoftPrompt, lr: float, first_order: bool) -> None:
        optimizer = torch.optim.SGD(module.parameters(), lr=lr)
        context = higher.innerloop_ctx(
            module, optimizer, copy_initial_weights=False, track_higher_grads=not first_order
        )
        # The context is a plain generator that restores nothing when it ends.
        self.patched, self.optimizer = context.__enter__()
        self.start = None if first_order else module.weight

    def prompt(self) -> Tensor:
        prompt: Tensor = self.patched()
        return prompt

    def step(self, loss: Tensor) -> None:
        self.optimizer.step(loss)

    def gradient(self, query_loss: Tensor) -> Tensor:
        (adapted,) = self.patched.parameters()
        (gradient,) = torch.autograd.grad(query_loss, adapted if self.start is None else self.start)
        return gradient


def _higher(algorithm: str) -> Any:
    try:
        import higher  # only those who choose it pay for its import
    except ModuleNotFoundError as error:
        raise UserError(f"{algorithm} needs higher, which is not installed: {install('higher')}") from error
    return higher
