"""Keep prompts of early steps: a task's embedding is one of them."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.callbacks.writing import writes
from mpt.data.modules.steps import ends_step
from mpt.record.folder import EARLY
from mpt.record.rows import prompt_facts
from mpt.util.errors import UserError
from mpt.util.files import check_below, clear_left


class KeepEarly(Callback):
    """Saves what the learner has after each of some steps, as ``<run>/early/step-<n>/``.

    A prompt after few, always the same number of steps is its task's embedding (Vu et al. 2022, "SPoT", section 3.2:
    10,000 of them); the dev-best prompt, which :class:`mpt.callbacks.KeepBest` keeps, is what other tasks start from.
    The steps need not be those of evaluations. A run that goes on after a kill leaves the same folders as one that was
    never stopped.

    Args:
        steps: optimiser steps.
        folder: folder under the run's folder (``trainer.default_root_dir``).

    Raises:
        UserError: no steps, or one below 1; in training, one after its end, or one that a run to go on from has passed
            without having kept it.
    """

    def __init__(self, steps: list[int], folder: str = EARLY) -> None:
        if not steps or min(steps) < 1:
            raise UserError(f"KeepEarly: steps must be a list of whole numbers from 1 on, not {steps}")
        self.steps = sorted(set(steps))
        self.folder = check_below(folder, "KeepEarly: folder")

    def path(self, trainer: Trainer, step: int) -> Path:
        """Where what was learned by a step lies."""
        return Path(trainer.default_root_dir) / self.folder / f"step-{step}"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if 0 <= trainer.max_steps < self.steps[-1]:
            raise UserError(
                f"KeepEarly is to keep step {self.steps[-1]}, but trainer.max_steps {trainer.max_steps} ends training "
                "before; leave that step out or train longer"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for step in self.steps:
            if step <= trainer.global_step and not self.path(trainer, step).is_dir():
                raise UserError(
                    f"the run goes on from step {trainer.global_step}, but {self.path(trainer, step)}, which KeepEarly "
                    "is to keep, is not there; start the run anew (without --ckpt_path)"
                )
        if writes(trainer):
            clear_left(Path(trainer.default_root_dir) / self.folder)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step not in self.steps or not ends_step(trainer, batch_idx):
            return
        pl_module.check_learned()  # type: ignore[operator]
        if not writes(trainer):
            return
        facts = prompt_facts(pl_module, getattr(trainer, "datamodule", None), step)
        pl_module.save_learned(self.path(trainer, step), facts)  # type: ignore[operator]
