"""Residual prompt tuning (Razdaibiedina et al., Findings of ACL 2023, arXiv 2305.03937)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from mpt.prompt.initialisers import InitContext
from mpt.prompt.reparameterisation import Reparameterisation
from mpt.util.errors import UserError


class Residual(Reparameterisation):
    """The prompt P plus a small network of it, the same for every row: ``P + LN(ReLU(P D^T) U)`` (their section 3.1).

    Learned are the rows of P ``[P, H]``, of D and of U ``[bottleneck, H]`` each, and the norm's scale and shift
    ``[1, H]`` each, one above the other. U starts from 0 where the norm is left out and the norm's scale where it is
    not, so that the prompt starts where ``init`` says; the paper starts them at random. Neither layer has a bias, as in
    the paper's equation; those of the authors' code have.

    Args:
        bottleneck: width of the network.
        norm: whether its output is normalised (LN).
    """

    has_kinks = True

    def __init__(self, bottleneck: int = 64, norm: bool = True) -> None:
        if bottleneck < 1:
            raise UserError(f"reparameterisation Residual: bottleneck must be at least 1, not {bottleneck}")
        self.bottleneck, self.norm = bottleneck, norm

    def start(self, prompt: Tensor, vocabulary: InitContext) -> Tensor:
        width = prompt.shape[1]
        # As torch starts a linear layer: uniform within the root of one over what is summed.
        down, up = (
            (2 * torch.rand(self.bottleneck, width, generator=vocabulary.generator) - 1) / summed**0.5
            for summed in (width, self.bottleneck)
        )
        rest = [down, up, torch.zeros(2, width)] if self.norm else [down, torch.zeros_like(up)]
        return torch.cat([prompt, *rest])

    def __call__(self, learned: Tensor) -> Tensor:
        ends = [self.bottleneck, self.bottleneck, *([1, 1] if self.norm else [])]
        prompt, down, up, *norm = learned.split([learned.shape[-2] - sum(ends), *ends], dim=-2)
        said: Tensor = torch.relu(prompt @ down.mT) @ up
        if norm:
            scale, shift = norm
            said = layer_norm(said, said.shape[-1:]) * scale + shift
        whole: Tensor = prompt + said
        return whole
