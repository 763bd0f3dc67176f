"""Multitask prompt tuning: one prompt of many tasks, and a scale of rank one for each (Wang et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from mpt.backbone.encoding import IGNORED, Batch
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.learn.example_learner import ExampleLearner
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.prompt_learner import PromptLearner
from mpt.library.retrieval import open_library
from mpt.prompt.initialisers import Initialiser, SampledVocabulary
from mpt.util.errors import UserError


class MultitaskPromptTuning(PromptLearner, ExampleLearner):
    """Learns ``P ∘ (u_k v_k^T)`` on a mixture: P ``[P, H]`` for all tasks, u_k ``[P]`` and v_k ``[H]`` for task k
    (arXiv 2303.02861, sections 3.1 and 3.2).

    With teachers each task's prompt is also distilled from one that was tuned on the task alone: ``distil`` times the
    divergence of the target tokens' distributions, KL(teacher, student), is added to the loss. The paper has a term
    of hidden states beside it and a temperature in it, which are left out here. What is stored is the start of a new
    task: P scaled by the means of u and of v, as the paper and PEFT begin one. There that product is tuned as any
    prompt is, where the paper goes on learning P, u and v. The vectors start from 1, where the prompts of all tasks are
    P.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        prompt_length: number of prompt rows, P.
        teachers: a library with a prompt of each task; of several that is taken which was best on dev. No distillation
            if not given.
        distil: the weight of the divergence (Wang et al.: 0.9).
        init: where the prompt starts.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
    """

    taught: Tensor | None

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        prompt_length: int = 100,
        teachers: str | None = None,
        distil: float = 0.9,
        init: Initialiser = SampledVocabulary(),  # noqa: B008 (immutable)
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
    ) -> None:
        super().__init__(backbone, prompt_length, init, optimizer, lr_scheduler, backbone_options)
        if distil <= 0:
            raise UserError(f"model.distil must be above 0, not {distil:g}; without distillation leave out teachers")
        self.teachers, self.distil = teachers, distil

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        super().build_on(backbone, labels)
        self._places = {task: place for place, task in enumerate(self.tasks)}
        if not self._places:
            raise UserError("MultitaskPromptTuning learns from rows of named tasks: --data MixtureData")
        self.rows = nn.Parameter(torch.ones(len(self._places), self.prompt_length))
        self.columns = nn.Parameter(torch.ones(len(self._places), backbone.hidden_size))
        self.register_buffer("taught", self._taught(), persistent=False)

    def _taught(self) -> Tensor | None:
        """The teacher of each task, ``[K, P', H]``."""
        if self.teachers is None:
            return None
        library = open_library(self.teachers)
        entries = sorted(library.entries(self.backbone.fingerprint), key=lambda entry: entry.dev_score or 0.0)
        best = {entry.task: entry for entry in entries}
        if missing := [task for task in self._places if task not in best]:
            raise UserError(
                f"model.teachers: the library {self.teachers} has no prompt of {', '.join(missing[:5])} on "
                f"{self.backbone_name}; learn them (mpt library learn), or leave out their tasks"
            )
        taught = library.values([best[task] for task in self._places])
        if taught.shape[-1] != self.backbone.hidden_size:
            raise UserError(
                f"model.teachers: the prompts of {self.teachers} are not of the width of {self.backbone_name}"
            )
        return taught

    def parameter_groups(self) -> Iterable[Any]:
        # A decay would draw the scales to nothing.
        return [{"params": [self.prompt.weight]}, {"params": [self.rows, self.columns], "weight_decay": 0.0}]

    def training_step(self, batch: tuple[TextBatch, Batch], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        if self.taught is None:
            return loss
        self._count(2 * len(batch[0]))  # teacher and student read each row once more
        return loss + self.distil * self.divergence(*batch)

    def divergence(self, text: TextBatch, tensors: Batch) -> Tensor:
        """KL(teacher, student) per target token, a scalar; without dropout, which would be another in each."""
        assert self.taught is not None and tensors.labels is not None
        with self.backbone.in_mode(training=False):
            with torch.no_grad():
                theirs = self.backbone.log_probabilities(self.taught[self._of(text)], tensors)
            ours = self.backbone.log_probabilities(self.prompt_for(text), tensors)
        each: Tensor = (theirs.exp() * (theirs - ours)).sum(-1)
        return each[tensors.labels != IGNORED].mean()

    def prompt_for(self, batch: TextBatch) -> Tensor:
        """The prompt of each row's task, ``[B, P, H]``; of tasks that are none of the mixture's, a new task's start."""
        if not self._places.keys() >= set(batch.tasks):
            return self.whole
        tasks = self._of(batch)
        scaled: Tensor = self.prompt() * (self.rows[tasks][:, :, None] * self.columns[tasks][:, None, :])
        return scaled

    def _of(self, batch: TextBatch) -> Tensor:
        return torch.tensor([self._places[task] for task in batch.tasks], device=self.rows.device)

    @property
    def whole(self) -> Tensor:
        whole: Tensor = self.prompt() * torch.outer(self.rows.mean(0), self.columns.mean(0))
        return whole

    def load_learned(self, folder: Path) -> None:
        super().load_learned(folder)
        with torch.no_grad():  # what was stored is scaled already
            self.rows.fill_(1)
            self.columns.fill_(1)
