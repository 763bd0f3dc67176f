"""Multitask prompt tuning: one prompt of many tasks, and a scale of rank one for each (Wang et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.learn.example_learner import ExampleLearner
from mpt.learn.prompt_learner import PromptLearner
from mpt.util.errors import UserError


class MultitaskPromptTuning(PromptLearner, ExampleLearner):
    """Learns ``P ∘ (u_k v_k^T)`` on a mixture: P ``[P, H]`` for all tasks, u_k ``[P]`` and v_k ``[H]`` for task k
    (arXiv 2303.02861, section 3.1).

    What is stored is the start of a new task: P scaled by the means of u and of v, as the paper and PEFT begin one. The
    vectors start from 1, where the prompts of all tasks are P. The paper also distils each task's prompt from one
    that was tuned on the task alone; that is left out here.

    Args: those of :class:`mpt.learn.PromptTuning`.
    """

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        if self.reparameterisation is not None:
            raise UserError("MultitaskPromptTuning is a reparameterisation itself; leave out model.reparameterisation")
        super().build_on(backbone, labels)
        self._places = {task: place for place, task in enumerate(self.tasks)}
        if not self._places:
            raise UserError("MultitaskPromptTuning learns from rows of named tasks: --data MixtureData")
        self.rows = nn.Parameter(torch.ones(len(self._places), self.prompt_length))
        self.columns = nn.Parameter(torch.ones(len(self._places), backbone.hidden_size))

    def parameter_groups(self) -> Iterable[Any]:
        # A decay would draw the scales to nothing.
        return [{"params": [self.prompt.weight]}, {"params": [self.rows, self.columns], "weight_decay": 0.0}]

    def prompt_for(self, batch: TextBatch) -> Tensor:
        """The prompt of each row's task, ``[B, P, H]``."""
        tasks = torch.tensor([self._places[task] for task in batch.tasks], device=self.rows.device)
        scales: Tensor = self.rows[tasks][:, :, None] * self.columns[tasks][:, None, :]
        scaled: Tensor = self.prompt() * scales
        return scaled

    @property
    def whole(self) -> Tensor:
        whole: Tensor = self.prompt() * torch.outer(self.rows.mean(0), self.columns.mean(0))
        return whole

    def load_learned(self, folder: Path) -> None:
        super().load_learned(folder)
        with torch.no_grad():  # what was stored is scaled already
            self.rows.fill_(1)
            self.columns.fill_(1)
