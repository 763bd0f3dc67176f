"""The steps of a fit and the time left, where Lightning's bar has no terminal to stand in."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.callbacks.writing import writes
from mpt.present.progress import CountProgress
from mpt.present.terminal import console


class StepLines(Callback):
    """A line a minute in a log: so many steps of ``trainer.max_steps``, and about how long the rest will take.

    ``mpt fit`` adds it by itself where there is no terminal for the bar that was asked for
    (``trainer.enable_progress_bar``).
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress = CountProgress(console(), "steps", trainer.max_steps if trainer.max_steps > 0 else None)
        self.progress.told(trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if writes(trainer):
            self.progress.told(trainer.global_step)
