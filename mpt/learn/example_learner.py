"""Learning from batches of examples by the gradient of their loss, as most learners do."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import token_mean
from mpt.data.modules.batch import TextBatch
from mpt.learn.learner import Learner
from mpt.learn.shared_gradient import devices
from mpt.util.random_state import seed_generators


class ExampleLearner(Learner):
    """Base of the learners that minimise the token-mean loss of batches of examples."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout is a function of seed and step, so a resumed run draws the masks that an undisturbed one would.
        step = self.trainer.fit_loop.epoch_loop.total_batch_idx
        seed_generators((self.seed * 1_000_003 + step) * 1_009 + self.global_rank, self.device)

    def training_step(self, batch: tuple[TextBatch, Batch], batch_idx: int) -> Tensor:
        text, tensors = batch
        self._count(len(text))
        loss = token_mean(self.backbone.loss(self.prompt_for(text), tensors), tensors)
        self._watch(loss)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(tensors))
        return loss

    def validation_step(self, batch: tuple[TextBatch, Batch], batch_idx: int) -> None:
        text, tensors = batch
        loss = self._judge(self.prompt_for(text), text, tensors)
        self._sum(loss)

    def _watch(self, loss: Tensor) -> None:
        """Sum the losses since they were last looked at: a GPU need not be waited for at each step."""
        self._sum(loss.detach())
        every = 1 if loss.device.type == "cpu" and devices() == 1 else self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.global_step + 1) % every == 0:
            self._stop_if_not_finite("training", self.trainer.global_step + 1)

    def _sum(self, loss: Tensor) -> None:
        self._summed = loss if self._summed is None else self._summed + loss
