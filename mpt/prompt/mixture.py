"""A learned mixture of other tasks' prompts and a new one (ATTEMPT; Asai et al., EMNLP 2022, arXiv 2205.11961)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.prompt.reparameterisation import Reparameterisation
from mpt.util.errors import UserError


class Mixture(Reparameterisation):
    """``a_0 N + a_1 P_1 + … + a_k P_k``: the prompts P that ``init`` gives stay, N and the weights a are learned.

    The weights are the softmax of k + 1 numbers that start from 0. ATTEMPT (its section 3.2) has them from an attention
    on each input, here they are one task's; and it adds N whole beside the mixture, where here N has its share in it
    alone. Learned are N ``[P, H]`` and below it a row ``[H]`` for each number, which is the row's mean: an optimiser
    that measures steps by rows and columns, as Adafactor does, then moves a number by its rate as it does any entry
    of N, and N's columns alike. Plain gradient descent moves it by 1 / H of that.

    Args:
        most_common: how many tokens N's rows are drawn from.
    """

    takes_several = True

    def __init__(self, most_common: int = 5000) -> None:
        self._new = SampledVocabulary(most_common)
        self._prompts = torch.empty(0)

    def start(self, prompt: Tensor, vocabulary: InitContext) -> Tensor:
        if prompt.dim() != 3:
            raise UserError(
                "reparameterisation Mixture mixes several prompts: give --model.init Retrieved with use each"
            )
        count, length, width = prompt.shape
        self._prompts = prompt.float().cpu()
        return torch.cat([self._new(length, vocabulary), torch.zeros(1 + count, width)])

    @property
    def fixed(self) -> Tensor:
        return self._prompts

    def facts(self, learned: Tensor) -> dict[str, Any]:
        return {"mixture_weights": self._parts(learned)[1].tolist()}

    def __call__(self, learned: Tensor) -> Tensor:
        self._prompts = self._prompts.to(learned.device)
        new, weights = self._parts(learned)
        first, rest = weights.split([1, len(self._prompts)], dim=-1)
        mixed: Tensor = first[..., None] * new + torch.einsum("...k,kph->...ph", rest, self._prompts)
        return mixed

    def _parts(self, learned: Tensor) -> tuple[Tensor, Tensor]:
        """The new prompt, and the weights ``[1 + k]`` of it and of each of the others, which sum to 1."""
        count = 1 + len(self._prompts)
        return learned[..., :-count, :], learned[..., -count:, :].mean(-1).softmax(-1)
