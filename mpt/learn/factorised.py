"""Factorised prompts: sub-prompts of languages and of tasks, learned in all combinations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.learn.example_learner import ExampleLearner
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.prompt_learner import PromptLearner
from mpt.prompt.initialisers import Initialiser, Uniform
from mpt.prompt.parts import PARTS, laid_out
from mpt.util.errors import UserError

LANGUAGE, TASK = "language", "task"


class FactorisedPromptTuning(PromptLearner, ExampleLearner):
    """Learns a sub-prompt for each language and one for each task; a row's prompt is its language's, then its task's.

    What the parts know can so be recombined in pairs that were not learned: a task's sub-prompt, learned beside
    English (:class:`mpt.learn.SubPromptTuning`), with another language's (Vu et al. 2022). Rows are of
    :class:`mpt.data.modules.combined.CombinedData`, of which each says its language and its task. All sub-prompts are
    rows of one table, and are stored as such; ``parts`` of its ``mpt.json`` says which are whose, as ``language/th``
    and ``task/span-corruption``. The start :class:`mpt.prompt.initialisers.Parts` joins some of them.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        language_length: rows of a language's sub-prompt (Vu et al.: 50).
        task_length: rows of a task's (Vu et al.: 50).
        init: where the table starts.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        language_length: int = 50,
        task_length: int = 50,
        init: Initialiser = Uniform(),  # noqa: B008 (immutable)
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
    ) -> None:
        for option, length in (("language_length", language_length), ("task_length", task_length)):
            if length < 1:
                raise UserError(f"model.{option} must be at least 1, not {length}")
        super().__init__(backbone, language_length + task_length, init, optimizer, lr_scheduler, backbone_options)
        self.lengths = {LANGUAGE: language_length, TASK: task_length}
        self.parts: dict[str, list[int]] = {}

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        pairs = [name.split("/") for name in self.tasks]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise UserError(
                "FactorisedPromptTuning learns from rows of a language and a task each: --data CombinedData"
            )
        kinds = {LANGUAGE: (first for first, _ in pairs), TASK: (second for _, second in pairs)}
        names = [(kind, f"{kind}/{name}") for kind, own in kinds.items() for name in dict.fromkeys(own)]
        self.parts = laid_out({name: self.lengths[kind] for kind, name in names})
        super().build_on(backbone, labels)

    @property
    def learned_rows(self) -> int:
        return max(last for _, last in self.parts.values())

    def prompt_for(self, batch: TextBatch) -> Tensor:
        """The prompt of each row, ``[B, P, H]``: rows of the table ``[R, H]``."""
        rows = torch.tensor([self.rows_of(name) for name in batch.tasks], device=self.prompt.weight.device)
        joined: Tensor = self.prompt.weight[rows]
        return joined

    def rows_of(self, name: str) -> list[int]:
        """Which rows of the table are the prompt of ``language/task``."""
        language, task = name.split("/")
        return [row for part in (f"{LANGUAGE}/{language}", f"{TASK}/{task}") for row in range(*self.parts[part])]

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        super().save_learned(folder, {PARTS: self.parts, **facts})
