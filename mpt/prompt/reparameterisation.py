"""What is learned in the place of a prompt, and the prompt that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from mpt.prompt.initialisers import InitContext


class Reparameterisation(ABC):
    """Base: a prompt ``[P, H]`` as a function of one matrix ``[R, C]``, which is what is learned.

    Since it is one matrix, whatever learns a prompt learns it: an optimiser, or a meta-learner's inner and outer steps.
    A run stores the prompt that it makes, and nothing of it is left after training.

    Attributes:
        takes_several: whether it starts from several prompts, ``[k, P, H]``.
        has_kinks: whether its slope jumps somewhere, as that of a ReLU does.
    """

    takes_several = False
    has_kinks = False

    @property
    def fixed(self) -> Tensor | None:
        """What it holds beside what is learned, if anything: a run that goes on must have the same."""
        return None

    def facts(self, learned: Tensor) -> dict[str, Any]:
        """What the prompt's ``mpt.json`` says of what was learned ``[R, C]``, which is not stored itself."""
        return {}

    @abstractmethod
    def start(self, prompt: Tensor, vocabulary: InitContext) -> Tensor:
        """What is learned at the start, ``[R, C]``.

        Args:
            prompt: where the prompt starts, ``[P, H]``.
            vocabulary: of the backbone, and what draws.
        """

    @abstractmethod
    def __call__(self, learned: Tensor) -> Tensor:
        """The prompt, ``[P, H]``; of several side by side ``[N, R, C]`` their ``[N, P, H]``."""
