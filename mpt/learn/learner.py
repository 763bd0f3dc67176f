"""What every learner shares: a backbone, evaluation by generated text, and checkpoints of what is learned only."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from mpt.backbone.checks import refuse_unsafe_dtype
from mpt.backbone.loading import BackboneOptions
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.text_data import TextData
from mpt.learn.accumulation import check_eval_interval
from mpt.learn.answering import Answering
from mpt.learn.judged import Judged, warn
from mpt.learn.shared_gradient import stop_together
from mpt.learn.targets import check_sentinels, check_targets
from mpt.util.checkpoints import check_same, plain_options
from mpt.util.errors import NotFinite, UserError

Demonstrated = Sequence[tuple[str, str]]
"""Inputs and their outputs."""


class Learner(Judged, ABC):
    """Base of the LightningModules, which are scored on generated text, or on the likeliest label.

    Data modules hand over texts (:class:`mpt.data.modules.batch.TextBatch`); the learner tokenises them with its
    backbone's own tokenizer, so that the two cannot disagree. Logged: ``train/loss``; ``dev/loss``, ``dev/score`` and
    the task's metric by name; ``test/score`` likewise, and beside labels ``test/score_written``.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``; loaded by :meth:`build`.
        optimizer: how what is learned is.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged on dev and test. With ``labels`` the label whose tokens and end have the highest
            log-likelihood, by no length (what tuning maximises), is the answer; what the model writes is then scored
            on test as well.

    Attributes:
        seed: of its start and its dropout masks, 0 unless whoever makes it sets it (``mpt fit``: ``seed_everything``).
        examples: example passes of the training so far, over all devices and the runs that this one went on from: rows
            of training batches, each time that they are read for a loss. A meta-learner reads its support rows at each
            inner step and its query rows once (Reptile too, though it only reports their loss); that MAML's products
            with a Hessian, and a loss that is only logged, read support rows again is not counted, nor is evaluation.
            None after a checkpoint that does not tell.
        seconds_before: of training, up to the checkpoint that this run went on from.
    """

    examples: int | None
    seconds_before: float

    def __init__(
        self,
        backbone: str,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
        backbone_options: BackboneOptions,
        answers: Answering,
    ) -> None:
        super().__init__(answers)
        self.backbone_name, self.backbone_options = backbone, backbone_options
        self.optimizer, self.lr_scheduler = optimizer, lr_scheduler
        self.seed = 0
        self.strict_loading = False  # checkpoints hold what is learned, not the frozen model
        self.tasks: tuple[str, ...] = ()  # the data's, by name, from when it is prepared
        self.demonstrations: Demonstrated = ()  # likewise
        self._checked: Any = None  # the data whose targets were looked at
        self._summed: Tensor | None = None
        self._begin_count()

    learns_from_episodes = False
    """Whether its data are episodes (support and query batches) instead of batches of examples."""

    # For subclasses ------------------------------------------------------------------------------------------------

    @abstractmethod
    def build(self, labels: tuple[str, ...]) -> None:
        """Load the backbone and make what is learned.

        Args:
            labels: label words of the data's task or tasks, for initialisers that want them.
        """

    def parameter_groups(self) -> Iterable[Any]:
        """What is learned, as torch's optimisers take it."""
        return self._weights()

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser over everything that is learned.

        Raises:
            UserError: it refuses its options, or its learning rate is negative or not finite.
        """
        try:
            made = self.optimizer(self.parameter_groups())
        except ValueError as error:
            raise UserError(f"model.optimizer: {error}") from error
        rate = made.param_groups[0]["lr"]
        if rate is not None and not 0 <= rate < math.inf:
            raise UserError(f"model.optimizer.lr must be 0 or more, not {rate:g}")
        return made

    @abstractmethod
    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write what was learned to a folder, in one step."""

    @abstractmethod
    def load_learned(self, folder: Path) -> None:
        """Take over what :meth:`save_learned` wrote."""

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuse Trainer options that this learner cannot follow, with the sentence that helps.

        Raises:
            UserError: naming the option and what to use instead.
        """
        check_eval_interval(trainer, trainer.accumulate_grad_batches, "trainer")

    @property
    def starts_learned(self) -> bool:
        """Whether it is worth testing before any training (it starts from something learned)."""
        return False

    # Lightning -----------------------------------------------------------------------------------------------------

    def prepare(
        self, labels: tuple[str, ...] = (), tasks: tuple[str, ...] = (), demonstrations: Demonstrated = ()
    ) -> None:
        """Load and make everything that training needs; nothing if that was done. Lightning's set-up calls it.

        Args:
            labels: label words of the data's task or tasks.
            tasks: their names.
            demonstrations: train examples of a task that is learned by itself.
        """
        if "backbone" not in self._modules:
            self.tasks, self.labels, self.demonstrations = tasks, labels, demonstrations
            self.build(labels)
            rank_zero_info(f"backbone {self.backbone.name}: {self.backbone.reading}")
            # Transformers loads in evaluation mode; training means the model's own dropout, as in fine-tuning.
            self.train()

    def check_targets(self, data: Any) -> None:
        """Tell what this backbone can never answer of the data, once, before anything is learned.

        Raises:
            UserError: see :func:`mpt.learn.targets.check_targets`.
        """
        if data is self._checked:
            return
        outputs = data.outputs() if isinstance(data, TextData) else []
        self._checked, self._targets_told = data, bool(outputs)
        told = check_targets(self.backbone.encode, outputs)
        if isinstance(data, TextData):
            learned = vars(data).get("objectives", (vars(data).get("objective"),))
            told += check_sentinels(self.backbone.encode, learned)
        for sentence in told:
            warn(sentence)

    def setup(self, stage: str) -> None:
        if stage == "fit":  # before a checkpoint is read
            self._begin_count()
        data = self._data
        self.prepare(*known_of(data))
        self.check_targets(data)
        judged = [*getattr(data, "validation_tasks", {}).values()]
        if (task := getattr(data, "task", None)) is not None:
            judged.append(replace(task, labels=self.labels))
        if self.answers == "labels" and (without := [one.name for one in judged if not one.labels]):
            raise UserError(f"model.answers labels: {without[0]} has no labels; leave it out")
        precision = str(self.trainer.precision)
        refuse_unsafe_dtype(self.backbone.config.model_type, precision)
        if precision.endswith("-true") and precision != "32-true":
            raise UserError(
                f"trainer.precision {precision} would round what is learned as well; "
                "for bfloat16 weights set backbone_options.dtype, for bfloat16 arithmetic trainer.precision bf16-mixed"
            )

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer()
        if self.lr_scheduler is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_scheduler(self, optimizer: torch.optim.Optimizer) -> Any:
        """The schedule, which is stepped at every step of the optimiser; None if there is none.

        Raises:
            UserError: it is one that follows a score.
        """
        scheduler = None if self.lr_scheduler is None else self.lr_scheduler(optimizer)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            raise UserError(
                "model.lr_scheduler ReduceLROnPlateau follows a score, and a learner's schedule its steps; take one "
                "that does, such as mpt.learn.schedules.WarmupLinear"
            )
        return scheduler

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if not isinstance(batch, TextBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return batch, self.backbone.encode(batch.inputs, batch.targets).to(device)

    def on_validation_start(self) -> None:
        self._stop_if_not_finite("training")

    def on_validation_epoch_end(self) -> None:
        self._stop_if_not_finite("dev")
        self._log_score("dev")

    def on_train_end(self) -> None:
        self._stop_if_not_finite("training")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        learned = {name for name, value in self.named_parameters() if value.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in learned}
        seconds = self.seconds_before + time.monotonic() - self._begun
        checkpoint["spent"] = {"examples": self.examples, "seconds": seconds}
        checkpoint["of"] = self.identity(self._data)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trainer: Any = self.trainer
        self.check_checkpoint(trainer.ckpt_path, checkpoint, self._data, training=trainer.state.fn == "fit")
        spent = checkpoint.get("spent", {"examples": None, "seconds": 0.0})  # none in those of earlier versions
        self.examples = None if spent["examples"] is None else int(spent["examples"])
        self.seconds_before = float(spent["seconds"])

    def identity(self, data: Any) -> dict[str, Any]:
        """What a run that goes on from this one's checkpoint must have in common with it; plain values.

        Args:
            data: the data module, if there is one.
        """
        optimizer = self.make_optimizer()
        known: dict[str, Any] = {
            "learner": type(self).__name__,
            "backbone": Path(self.backbone.name).name,
            "optimizer": type(optimizer).__name__,
            "learning rate": optimizer.defaults.get("lr"),
        }
        known |= {
            f"optimizer {name}": value for name, value in plain_options(optimizer.defaults).items() if name != "lr"
        }
        # Where those that are not there are left out, the data module compares them itself.
        if self.tasks and getattr(data, "sources", None) is None:
            known["task"] = list(self.tasks)
        known |= {"seed": self.seed, "answers": self.answers}
        if isinstance(data, TextData):
            known |= {f"data {name}": value for name, value in data.stream_options().items()}
        trainer = getattr(data, "trainer", None)
        if trainer is not None and not any(
            isinstance(part, GradientAccumulationScheduler) for part in trainer.callbacks
        ):
            known["accumulated batches"] = trainer.accumulate_grad_batches
        if (task := getattr(data, "task", None)) is not None:
            known["metric"] = task.metric
        for kind in ("input", "target"):
            known[f"max_{kind}_length"] = getattr(self.backbone.encode, f"max_{kind}_length")
        return {**known, "chat template": self.backbone.options.chat_template}

    def check_checkpoint(self, path: Path | str, checkpoint: dict[str, Any], data: Any, training: bool) -> None:
        """Refuse a checkpoint of another run to train on from, and one of another model to test.

        Args:
            path: of the checkpoint.
            checkpoint: what it holds.
            data: the data module, if there is one.
            training: whether the run is to go on.

        Raises:
            UserError: it is.
        """
        shapes = {name: list(value.shape) for name, value in self.named_parameters() if value.requires_grad}
        check_same(path, checkpoint, self.identity(data), shapes, training)

    def check_learned(self) -> None:
        """Refuse to keep what is learned now if a number in it is not finite; alike on every device.

        Raises:
            NotFinite: there is one.
        """
        if not torch.stack([weight.detach().isfinite().all() for weight in self._weights()]).all():
            raise NotFinite(self._not_finite("what is learned holds a number that is"))

    # Inside --------------------------------------------------------------------------------------------------------

    def _weights(self) -> list[Tensor]:
        return [weight for weight in self.parameters() if weight.requires_grad]

    def _stop_if_not_finite(self, kind: str, step: int | None = None) -> None:
        if self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        summed, self._summed = self._summed, None
        trouble = None
        if summed is not None and not summed.isfinite():
            trouble = self._not_finite(f"the {kind} loss is", step)
        stop_together(trouble, self.device, NotFinite)
        if kind == "training" and step is None:  # at each step the loss tells it
            self.check_learned()

    def _not_finite(self, what: str, step: int | None = None) -> str:
        optimizer: Any = self.optimizers()
        rate = (optimizer[0] if isinstance(optimizer, list) else optimizer).param_groups[0]["lr"]
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        kept = [part.told_kept(self.trainer) for part in callbacks if hasattr(part, "told_kept")]
        return (
            f"{what} NaN or infinite by step {step or self.trainer.global_step}, at learning rate {rate:g}; lower "
            "model.optimizer.lr, or, if the model computes in float16, use bfloat16 or float32 "
            f"(backbone_options.dtype, trainer.precision). {''.join(kept)}"
        ).strip()

    def _begin_count(self) -> None:
        self.examples = 0
        self.seconds_before = 0.0
        self._begun = time.monotonic()

    def _count(self, rows: int) -> None:
        """Count the rows of this device's share of a batch; the shares of all are equal."""
        if self.examples is not None:
            self.examples += rows * self.trainer.world_size


def known_of(data: Any) -> tuple[tuple[str, ...], tuple[str, ...], Demonstrated]:
    """What :meth:`Learner.prepare` is told of a data module: labels, tasks and demonstrations, if it has them."""
    labels, tasks, shown = (getattr(data, name, ()) for name in ("labels", "task_names", "demonstrations"))
    return tuple(labels), tuple(tasks), shown
