"""LoRA: the baseline that learns small changes of a frozen backbone's matrices."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable

from mpt.backbone.loading import BackboneOptions
from mpt.learn.adapter import Adapter
from mpt.learn.answering import Answering
from mpt.util.errors import UserError


class LoRA(Adapter):
    """Learns low-rank changes of a frozen backbone's linear layers, without a prompt (Hu et al. 2022), by PEFT.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        rank: of each change, r.
        alpha: a change is multiplied by ``alpha / rank``.
        dropout: of what a change reads, in training.
        target_modules: names of the layers that are changed; PEFT's choice for the architecture if not given.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged: what the model writes, or the likeliest label.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        rank: int = 8,
        alpha: int = 16,
        dropout: float = 0.0,
        target_modules: list[str] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
    ) -> None:
        super().__init__(backbone, optimizer, lr_scheduler, backbone_options, answers)
        if rank < 1:
            raise UserError(f"model.rank must be at least 1, not {rank}")
        if alpha < 1:
            raise UserError(f"model.alpha must be at least 1, not {alpha}: a change of nothing learns nothing")
        if not 0 <= dropout < 1:
            raise UserError(f"model.dropout must be from 0 to below 1, not {dropout:g}")
        self.rank, self.alpha, self.dropout, self.target_modules = rank, alpha, dropout, target_modules

    def peft_config(self, peft: Any, **common: Any) -> Any:
        return peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.target_modules,
            **common,
        )

    @property
    def shape(self) -> str:
        return f"model.rank {self.rank}"
