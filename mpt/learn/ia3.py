"""IA³: the baseline that learns to scale what a frozen backbone's layers say."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable

from mpt.backbone.loading import BackboneOptions
from mpt.learn.adapter import Adapter
from mpt.learn.answering import Answering
from mpt.util.errors import UserError


class IA3(Adapter):
    """Learns a scale for each key, value and inner feature of the layers, without a prompt (Liu et al. 2022), by PEFT.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        target_modules: names of the layers that are scaled; PEFT's choice for the architecture if not given.
        feedforward_modules: those among them whose inputs are scaled, in the place of what they say.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged: what the model writes, or the likeliest label.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        target_modules: list[str] | None = None,
        feedforward_modules: list[str] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
    ) -> None:
        super().__init__(backbone, optimizer, lr_scheduler, backbone_options, answers)
        if odd := sorted({*(feedforward_modules or [])} - {*(target_modules or [])}):
            raise UserError(f"model.feedforward_modules: {odd[0]} is not among model.target_modules, which it must be")
        self.target_modules, self.feedforward_modules = target_modules, feedforward_modules

    def peft_config(self, peft: Any, **common: Any) -> Any:
        return peft.IA3Config(
            target_modules=self.target_modules, feedforward_modules=self.feedforward_modules, **common
        )
