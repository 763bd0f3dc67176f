"""What the meta-learning tests share: an episode on a small model, and the textbook's inner loop written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.learn.meta import MAML, FoMAML, MetaAlgorithm, Objective, Reptile

ALGORITHMS = {
    "finite_difference": lambda lr, steps: MAML(lr, steps),
    "exact": lambda lr, steps: MAML(lr, steps, hessian="exact"),
    "graph": lambda lr, steps: MAML(lr, steps, hessian="graph"),
    "fomaml": FoMAML,
    "reptile": Reptile,
}
"""Every algorithm, by the name its tests have."""

LEARN_RATES = ["finite_difference", "exact", "graph", "fomaml"]


@dataclass(frozen=True)
class Episode:
    """A prompt of vocabulary, two support batches and a query batch on a small backbone."""

    backbone: FrozenBackbone
    prompt: Tensor
    support: list[Batch]
    query: Batch

    def loss(self, prompt: Tensor, batch: Batch) -> Tensor:
        return token_mean(self.backbone.loss(prompt, batch), batch)

    def run(self, algorithm: MetaAlgorithm, seed: int = 3, **options: Any):
        """The algorithm on this episode, its dropout masks drawn from a seed."""
        torch.manual_seed(seed)
        return algorithm(self.loss, self.prompt, self.support, self.query, **options)


def episode_of(backbone: FrozenBackbone) -> Episode:
    rows = torch.randint(4, len(backbone.embeddings), (5,), generator=torch.Generator().manual_seed(3))
    return Episode(
        backbone,
        backbone.embeddings[rows].clone(),
        [
            backbone.encode(["red apples fall", "a dog"], ["yes", "no no"]),
            backbone.encode(["one more", "x"], ["no", "yes"]),
        ],
        backbone.encode(["green pears rise", "cats"], ["yes yes", "no"]),
    )


def descend(loss: Objective, prompt: Tensor, support: Sequence[Any], rate: Any, steps: int) -> Tensor:
    """The adapted prompt by plain gradient descent."""
    point = prompt.detach().clone()
    for k in range(steps):
        leaf = point.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, support[k % len(support)]), leaf)
        point = (leaf - rate * gradient).detach()
    return point


def meta_objective(
    loss: Objective, prompt: Tensor, support: Sequence[Any], query: Any, rate: Any, steps: int
) -> Tensor:
    """What MAML descends: the query loss after the inner steps."""
    with torch.enable_grad():
        adapted = descend(loss, prompt, support, rate, steps)
    return loss(adapted, query).detach()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())
