"""A checkpoint to go on from after a kill, one per run."""

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from mpt.callbacks.writing import is_trial
from mpt.data.modules.steps import ends_step
from mpt.record.folder import RunFolder
from mpt.util.errors import UserError
from mpt.util.files import written_for


class ResumePoint(Checkpoint):
    """Saves the state of the run after every evaluation, over the one before; ``--ckpt_path last`` goes on from it.

    Saving after the evaluation, not before, makes prompt, metrics and best state of one step belong together. A run
    that is not evaluated (multi-task training) saves every ``every_n_steps``.

    Args:
        every_n_steps: optimiser steps between checkpoints where there is no evaluation.

    Raises:
        UserError: below 1.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        if every_n_steps < 1:
            raise UserError(f"ResumePoint: every_n_steps must be at least 1, not {every_n_steps}")
        self.every_n_steps = every_n_steps

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        due = ends_step(trainer, batch_idx) and trainer.global_step % self.every_n_steps == 0
        if due and not sum(trainer.num_val_batches):
            self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if is_trial(trainer):
            return
        pl_module.check_learned()  # type: ignore[operator]
        path = RunFolder(Path(trainer.default_root_dir)).checkpoint
        with written_for(path):
            trainer.save_checkpoint(path, weights_only=False)
