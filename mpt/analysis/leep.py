"""LEEP: how well a source prompt's answers tell a target's labels (Nguyen et al., ICML 2020, arXiv 2002.12462)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mpt.analysis.train_loss import in_parts
from mpt.backbone.model import FrozenBackbone
from mpt.data.tasks.task import FewShot


def leep(backbone: FrozenBackbone, prompt: Tensor, draw: FewShot, labels: Sequence[str]) -> float:
    """LEEP of a prompt ``[P, H]`` that answers with labels of its own task, on a draw's train examples.

    NaN where the prompt's task or the draw's has no labels.
    """
    if not labels or not draw.task.labels:
        return math.nan
    batches = [backbone.encode([one.input for one in part]) for part in in_parts(draw)]
    shares = torch.cat([backbone.score(prompt, batch, labels).double().softmax(1) for batch in batches])
    known = {label: number for number, label in enumerate(draw.task.labels)}
    right = torch.tensor([known[example.targets[0]] for example in draw.train])
    return leep_of(shares, right)


def leep_of(shares: Tensor, right: Tensor) -> float:
    """LEEP by its definition (section 3): the mean of ``log Σ_z P(y_i | z) θ(x_i)_z``, with ``P(y, z)`` the mean over
    the examples of label y of ``θ(x)_z``.

    Args:
        shares: θ, of each source label z in what is said to n examples, ``[n, Z]``.
        right: numbers of the examples' target labels, ``[n]``.
    """
    shares = shares[:, shares.sum(0) > 0]  # what is never said tells nothing, and P(y | z) would be 0 / 0
    joint = torch.stack([shares[right == label].sum(0) for label in range(int(right.max()) + 1)]) / len(shares)
    given = joint / joint.sum(0)
    return float((given[right] * shares).sum(1).log().mean())
