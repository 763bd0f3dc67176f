"""MAML and FoMAML through ``learn2learn`` (Arnold et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpt.errors import UserError
from mpt.learn.meta.engine import Engine, Unrolled
from mpt.prompt import SoftPrompt


class Learn2LearnMAML(Engine):
    """MAML by ``learn2learn.algorithms.MAML``: the same gradient as ``MAML(hessian="graph")``.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set; memory grows with them.

    Raises:
        UserError: if learn2learn is not installed or does not load.
    """

    twice = True

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 1) -> None:
        super().__init__(inner_lr, inner_steps)
        _learn2learn(type(self).__name__)  # before anything is trained

    def _unroll(self, module: SoftPrompt) -> Unrolled:
        library = _learn2learn(type(self).__name__)
        return _InnerLoop(library.algorithms.MAML(module, lr=self.inner_lr, first_order=self.first_order))


class Learn2LearnFoMAML(Learn2LearnMAML):
    """First-order MAML by ``learn2learn.algorithms.MAML(first_order=True)``.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set.

    Raises:
        UserError: if learn2learn is not installed or does not load.
    """

    first_order = True
    twice = False


class _InnerLoop:
    def __init__(self, learner: Any) -> None:
        self.learner, self.clone = learner, learner.clone()

    def prompt(self) -> Tensor:
        return self.clone()

    def step(self, loss: Tensor) -> None:
        self.clone.adapt(loss)

    def gradient(self, query_loss: Tensor) -> Tensor:
        # To first order the steps are constants, so the start's gradient is the adapted prompt's.
        (gradient,) = torch.autograd.grad(query_loss, self.learner.module.weight)
        return gradient


def _learn2learn(algorithm: str) -> Any:
    remedy = 'install the extra "learn2learn" as the README\'s section "learn2learn" says'
    try:
        import learn2learn
    except ModuleNotFoundError as error:
        if error.name != "learn2learn":
            raise UserError(f"{algorithm}: learn2learn does not load ({error}); {remedy}") from error
        raise UserError(f"{algorithm} needs learn2learn, which is not installed; {remedy}") from error
    except Exception as error:
        # Its gym and torchvision fail in ways of their own, beside a torch they were not built for.
        raise UserError(f"{algorithm}: learn2learn does not load ({error}); {remedy}") from error
    return learn2learn
