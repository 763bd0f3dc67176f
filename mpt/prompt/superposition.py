"""Superposition prompts (SuperPos-Prompt; Ali Sadraei Javaheri et al. 2024, arXiv 2406.05279)."""

from __future__ import annotations

import torch
from torch import Tensor

from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.prompt.reparameterisation import Reparameterisation
from mpt.util.errors import UserError


class Superposition(Reparameterisation):
    """Each row a learned mixture of the same frozen embeddings: ``W E``, with W ``[P, mixed]`` learned.

    E ``[mixed, H]`` holds the rows that the prompt starts from and, behind them, embeddings of tokens that are drawn
    among the most common, some of those rows perhaps among them again. W starts from the identity, so that the prompt
    starts where ``init`` says. The paper also leaves out the frozen model's dropout, which stays here unless
    ``--model.backbone_options.dropout false`` says otherwise.

    Args:
        mixed: how many embeddings, m; at least the prompt's rows.
        most_common: how many to draw from.
    """

    def __init__(self, mixed: int = 256, most_common: int = 5000) -> None:
        if mixed < 1:
            raise UserError(f"reparameterisation Superposition: mixed must be at least 1, not {mixed}")
        self.mixed = mixed
        self._others = SampledVocabulary(most_common)
        self._basis = torch.empty(0)

    def start(self, prompt: Tensor, vocabulary: InitContext) -> Tensor:
        if (others := self.mixed - len(prompt)) < 0:
            raise UserError(
                f"reparameterisation Superposition: mixed is {self.mixed}, and must be at least the prompt's "
                f"{len(prompt)} rows"
            )
        drawn = [self._others(others, vocabulary)] if others else []
        self._basis = torch.cat([prompt.float().cpu(), *drawn])
        return torch.eye(len(prompt), self.mixed)

    @property
    def fixed(self) -> Tensor:
        return self._basis

    def __call__(self, learned: Tensor) -> Tensor:
        self._basis = self._basis.to(learned.device)
        return learned @ self._basis
