"""MAML and FoMAML through ``learn2learn`` (Arnold et al. 2020)."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mpt.learn.meta.engine import UnrolledPrompt, WrappedMAML
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError


class Learn2LearnMAML(WrappedMAML):
    """MAML by ``learn2learn.algorithms.MAML``: the same gradient as ``MAML(hessian="graph")``.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set; memory grows with them.

    Raises:
        UserError: if learn2learn is not installed or does not load.
    """

    needs_double_backward = True

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 1) -> None:
        super().__init__(inner_lr, inner_steps)
        _maml(type(self).__name__)  # before anything is trained

    def _unroll(self, module: SoftPrompt) -> UnrolledPrompt:
        return _Learn2LearnLoop(_maml(type(self).__name__)(module, lr=self.inner_lr, first_order=self.first_order))


class Learn2LearnFoMAML(Learn2LearnMAML):
    """First-order MAML by ``learn2learn.algorithms.MAML(first_order=True)``.

    Args:
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the support set.

    Raises:
        UserError: if learn2learn is not installed or does not load.
    """

    first_order = True
    needs_double_backward = False


class _Learn2LearnLoop:
    def __init__(self, learner: Any) -> None:
        self.learner, self.clone = learner, learner.clone()

    def prompt(self) -> Tensor:
        prompt: Tensor = self.clone()
        return prompt

    def step(self, loss: Tensor) -> None:
        self.clone.adapt(loss)

    def gradient(self, query_loss: Tensor) -> Tensor:
        # To first order the steps are constants, so the start's gradient is the adapted prompt's.
        gradient: Tensor = torch.autograd.grad(query_loss, self.learner.module.weight)[0]
        return gradient


@cache
def maml() -> Any:
    """learn2learn's class ``MAML``.

    learn2learn's ``__init__`` imports gym, torchvision and compiled modules, none of which its MAML uses, and all of
    which may be missing or not load. Unless the whole package is there already, two bare modules with its folders as
    their path therefore stand for it and its ``algorithms`` while ``algorithms.maml`` and the two modules it takes
    are loaded; afterwards nothing of that is left in ``sys.modules``, where a real ``import learn2learn`` looks.

    Raises:
        ModuleNotFoundError: named learn2learn, if it is not installed.
        Exception: what its own code raises, if it does not load.
    """
    whole = getattr(sys.modules.get("learn2learn"), "algorithms", None)
    if whole is not None:
        return whole.MAML
    spec = importlib.util.find_spec("learn2learn")
    if spec is None:
        raise ModuleNotFoundError("No module named 'learn2learn'", name="learn2learn")
    before = _taken_out()
    try:
        folders = list(spec.submodule_search_locations or [])
        for name, places in (
            ("learn2learn", folders),
            ("learn2learn.algorithms", [os.path.join(folder, "algorithms") for folder in folders]),
        ):
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = places
        return importlib.import_module("learn2learn.algorithms.maml").MAML
    finally:
        _taken_out()
        sys.modules.update(before)


def _taken_out() -> dict[str, ModuleType]:
    """learn2learn's modules, no longer in ``sys.modules``."""
    names = [name for name in sys.modules if name.partition(".")[0] == "learn2learn"]
    return {name: sys.modules.pop(name) for name in names}


def _maml(algorithm: str) -> Any:
    remedy = 'make learn2learn installs it, or the commands in docs/start.md, section "learn2learn"'
    try:
        return maml()
    except ModuleNotFoundError as error:
        if error.name != "learn2learn":
            raise UserError(f"{algorithm}: learn2learn does not load ({error}); {remedy}") from error
        raise UserError(f"{algorithm} needs learn2learn, which is not installed; {remedy}") from error
    except Exception as error:  # code of a stranger's, from 2022, beside whatever is installed here
        raise UserError(f"{algorithm}: learn2learn does not load ({error}); {remedy}") from error
