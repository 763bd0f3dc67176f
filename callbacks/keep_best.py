"""Keep what was best on dev, and test that."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info

from mpt.callbacks.writing import writes
from mpt.data.modules.steps import batches_per_step
from mpt.record.folder import PROMPT
from mpt.record.rows import DEV_SCORE, prompt_facts
from mpt.util.best import Best
from mpt.util.errors import Diverged, NotFinite, UserError
from mpt.util.files import check_below

log = logging.getLogger(__name__)


class KeepBest(Callback):
    """Saves the learner's prompt (or model) when dev is better, and restores it for validate, test and predict.

    The first of equal scores is kept, as in the few-shot protocol of CrossFit. Without a dev set (multi-task training)
    the last state is kept.

    With ``trainer.max_steps 0`` the start itself is kept.

    Args:
        monitor: logged value to maximise, or to minimise if its name ends in ``loss``; null keeps the last state.
        folder: folder under the run's folder (``trainer.default_root_dir``).
    """

    def __init__(self, monitor: str | None = DEV_SCORE, folder: str = PROMPT) -> None:
        self.monitor = monitor
        self.folder = check_below(folder, "KeepBest: folder")
        self.best = Best.of(monitor)
        self._good_step = 0

    @property
    def state_key(self) -> str:
        own = {"monitor": self.monitor, "folder": self.folder}
        return super().state_key if own == {"monitor": DEV_SCORE, "folder": PROMPT} else self._generate_state_key(**own)

    @property
    def _legacy_state_key(self) -> Any:  # of checkpoints from before there could be two
        return super().state_key

    def path(self, trainer: Trainer) -> Path:
        """Where the best state lies."""
        return Path(trainer.default_root_dir) / self.folder

    def told_kept(self, trainer: Trainer) -> str:
        """What a run that stops now has kept, as a sentence."""
        if self.best.step is None:
            return f"Nothing was kept in {self.path(trainer)}."
        return f"What was best on dev before, at step {self.best.step}, is kept in {self.path(trainer)}."

    def check_steps(self, trainer: Trainer) -> None:
        """Refuse a run that would end before its first evaluation.

        Raises:
            UserError: it would.
        """
        if self.monitor is not None and trainer.limit_val_batches == 0:
            raise UserError(
                f"trainer.limit_val_batches 0 leaves no evaluation, and KeepBest monitors {self.monitor}; leave "
                "it out, or set KeepBest's monitor to null to keep the last state"
            )
        if trainer.max_steps == 0:
            return
        every = getattr(trainer, "val_check_interval", None)
        if every is None:
            raise UserError(
                "trainer.val_check_interval must be a number of batches, not a time: a run that goes on after a kill "
                "is evaluated at the same steps"
            )
        batches = trainer.max_steps * batches_per_step(trainer)
        if self.monitor is not None and isinstance(every, int) and 0 <= batches < every:
            raise UserError(
                f"trainer.max_steps {trainer.max_steps} ends training before the first evaluation "
                f"(trainer.val_check_interval {every} batches); lower the interval or train longer"
            )

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that a fit kept something, also one that had no step left to do, as after a kill behind its last one.

        Raises:
            UserError: it ended before its first evaluation, as by ``trainer.max_time``.
        """
        if self.monitor is not None:
            self._check_kept(trainer)
        elif not self.path(trainer).is_dir():
            self._save(trainer, pl_module, trainer.global_step, {"last": True})

    def _check_kept(self, trainer: Trainer) -> None:
        if self.best.step is None:
            raise UserError(
                f"training ended at step {trainer.global_step} before the first evaluation; "
                "lower trainer.val_check_interval or raise trainer.max_steps"
            )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check_steps(trainer)
        if trainer.max_steps == 0:  # the start itself is to be tested
            self._save(trainer, pl_module, 0, {"last": True})
            self.best.step = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit" or self.monitor is None:
            return
        value = trainer.callback_metrics.get(self.monitor)
        if value is None:
            raise UserError(
                f"KeepBest monitors {self.monitor}, but only {sorted(trainer.callback_metrics)} are logged; "
                "set its monitor to one of them, or to null to keep the last state"
            )
        if self.best.beaten_by(float(value)):
            self._save(trainer, pl_module, trainer.global_step, {self.monitor: float(value)})
            self.best = replace(self.best, score=float(value), step=trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor is None:
            self._save(trainer, pl_module, trainer.global_step, {"last": True})
            self.best.step = trainer.global_step
        else:
            self._check_kept(trainer)
            rank_zero_info(f"best {self.monitor} {self.best.score:.4f} at step {self.best.step}")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        # The trainer has counted a step by the time it proves a bad one.
        self._good_step = trainer.global_step

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # A run that stopped itself (an exploding inner loop) leaves its learner as the last good step left it.
        stopped_itself = isinstance(exception, Diverged) and not isinstance(exception, NotFinite)
        stopped_itself &= trainer.state.fn == "fit"
        if stopped_itself and self.best.step is None and self._good_step > 0:
            self._save(trainer, pl_module, self._good_step, {"last": True})

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is not None:
            return  # the user named the weights
        self.check_there(trainer, pl_module)
        if self.path(trainer).is_dir():
            pl_module.load_learned(self.path(trainer))  # type: ignore[operator]

    def check_there(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse to evaluate where nothing was learned.

        Raises:
            UserError: nothing was, and the module does not start from what another run learned.
        """
        path = self.path(trainer)
        if not path.is_dir() and not pl_module.starts_learned:
            raise UserError(
                f"{path}: nothing learned there yet; run mpt fit with this configuration first, or give --ckpt_path"
            )

    on_predict_start = on_test_start

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.on_test_start(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best.score, "best_step": self.best.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["best_step"] is not None:
            self.best = replace(self.best, score=state_dict["best"], step=state_dict["best_step"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.best.step is not None and not self.path(trainer).is_dir():
            log.warning("%s is gone; the best state is sought anew", self.path(trainer))
            self.best = Best.of(self.monitor)
        self._good_step = trainer.global_step
        if self.monitor is not None and trainer.val_check_batch == math.inf:
            raise UserError(
                f"KeepBest monitors {self.monitor}, but an endless stream of batches has no epoch to evaluate after; "
                "set trainer.val_check_interval to a number of batches"
            )

    def _save(self, trainer: Trainer, pl_module: LightningModule, step: int, why: dict[str, Any]) -> None:
        if hasattr(pl_module, "check_learned"):
            pl_module.check_learned()  # type: ignore[operator]
        if not writes(trainer):
            return
        facts = prompt_facts(pl_module, getattr(trainer, "datamodule", None), step)
        pl_module.save_learned(self.path(trainer), facts | why)  # type: ignore[operator]
