"""Prompt tuning behind rows that stay: a task's sub-prompt beside a language's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.learn.answering import Answering
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.prompt_tuning import PromptTuning
from mpt.prompt.files import check_fits, load_prompt
from mpt.prompt.initialisers import Initialiser, SampledVocabulary
from mpt.prompt.parts import PARTS, laid_out, load_parts
from mpt.util.errors import UserError


class SubPromptTuning(PromptTuning):
    """Learns a sub-prompt behind parts of another prompt, which stay as they are (Vu et al. 2022).

    What is stored is the whole prompt, whose ``parts`` are ``before`` and ``learned``.

    A sub-prompt that has stood behind one language's rows alone is learned for these, and others may harm it. With
    ``before_any`` each row of a training batch is read behind one of several parts, by chance: a departure from Vu et
    al., in which the task still has examples of one language only.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        before: folder of the prompt, which :class:`mpt.learn.FactorisedPromptTuning` wrote.
        before_parts: which of its parts stand before what is learned, such as ``language/en``.
        before_any: two or more of its parts, each of as many rows; one of them is drawn in the place of
            ``before_parts`` for each row of a training batch. On dev and test, and in what is stored, ``before_parts``
            stand.
        prompt_length: rows that are learned, P (Vu et al.: 50).
        init: where these start.
        optimizer: how they are learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged: what the model writes, or the likeliest label.
    """

    stays: Tensor
    drawn: Tensor

    def __init__(
        self,
        before: str,
        before_parts: list[str],
        backbone: str = "mpt-tiny",
        prompt_length: int = 50,
        init: Initialiser = SampledVocabulary(),  # noqa: B008 (immutable)
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
        before_any: list[str] | None = None,
    ) -> None:
        if before_any is not None and not 2 <= len(before_any) == len({*before_any}):
            raise UserError("model.before_any draws from two or more parts, each named once; name more or leave it out")
        super().__init__(backbone, prompt_length, init, optimizer, lr_scheduler, backbone_options, answers)
        self.before, self.before_parts, self.before_any = before, before_parts, before_any or []

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        rows, stored = load_parts(self.before, self.before_parts)
        check_fits(stored, self.before, backbone.hidden_size, self.backbone_name, backbone.fingerprint)
        super().build_on(backbone, labels)
        backbone.check_lengths(len(rows) + self.prompt_length)
        self.register_buffer("stays", rows.float(), persistent=False)
        drawn = [self._part(name).float() for name in self.before_any]
        if wrong := [name for name, part in zip(self.before_any, drawn, strict=True) if len(part) != len(rows)]:
            raise UserError(f"model.before_any: {wrong[0]} has not as many rows as {', '.join(self.before_parts)}")
        self.register_buffer("drawn", torch.stack(drawn) if drawn else rows.new_empty(0), persistent=False)

    @property
    def whole(self) -> Tensor:
        return torch.cat([self.stays, self.prompt()])

    def prompt_for(self, batch: TextBatch) -> Tensor:
        if not (self.training and self.before_any):
            return self.whole
        # of the generator that is seeded at each step, as dropout is: a run that goes on draws the same
        rows = self.drawn[torch.randint(len(self.drawn), (len(batch),)).to(self.drawn.device)]
        return torch.cat([rows, self.prompt().expand(len(batch), -1, -1)], dim=1)

    @property
    def fixed(self) -> Tensor:
        return torch.cat([self.stays, *self.drawn])

    def _part(self, name: str) -> Tensor:
        return load_parts(self.before, [name])[0]

    def behind(self, part: str) -> Tensor:
        """What was learned behind another part of the prompt that was given: a recombination, ``[P, H]``."""
        return torch.cat([self._part(part).to(self.stays), self.prompt()])

    def load_learned(self, folder: Path) -> None:
        super().load_learned(folder)
        stays = load_prompt(folder).weight[: len(self.stays)]
        if not torch.equal(stays, self.stays.cpu()):
            raise UserError(
                f"prompt {folder} was learned behind other rows than those of {', '.join(self.before_parts)} in "
                f"{self.before}; give the model.before and model.before_parts that it was learned with"
            )

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        parts = laid_out({"before": len(self.stays), "learned": self.prompt_length})
        super().save_learned(folder, {PARTS: parts, **facts})
