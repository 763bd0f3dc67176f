"""What Lightning data modules of texts share: loaders over rows, and the place in the training stream.

Training batches come as one endless epoch, whose batches are a pure function of the seed and the number of batches
consumed: run a Trainer with ``max_steps``, ``val_check_interval`` and ``check_val_every_n_epoch=None``.
Resuming from a checkpoint goes on with the batch after the last that a completed optimiser step consumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, Timer
from torch.utils.data import DataLoader, Dataset, Sampler

from mpt.data.modules.batch import EpisodeBatch, TextBatch, collate
from mpt.data.modules.references import ReferenceChoice, check_references
from mpt.data.modules.steps import batches_per_step
from mpt.data.modules.streams import SequentialBatches
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, Task, is_text
from mpt.util.checkpoints import plain_options
from mpt.util.errors import UserError

_OF_THE_STREAM = (
    *("seed", "k", "batch_size", "task_prefix", "references", "labels_as"),
    *("objective", "objectives", "window", "mixed"),
    *("seeds", "splits", "limit", "temperature", "target_k"),
    *("support_splits", "query_splits", "support_batches", "query_batch_size", "meta_batch_size"),
)

AnyBatch = TypeVar("AnyBatch", TextBatch, EpisodeBatch)


def check_stream(trainer: pl.Trainer) -> None:
    """Refuse Trainer options that an endless stream of batches cannot follow, and say what to use instead."""
    known: Any = trainer
    if known.overfit_batches:
        raise UserError(
            f"trainer.overfit_batches {known.overfit_batches:g} needs data of a length, and training batches are an "
            "endless stream; for a few examples again and again give a small draw by --data.k"
        )
    if known.fast_dev_run:
        return
    stops = any(isinstance(part, EarlyStopping | Timer) for part in known.callbacks)
    if known.max_steps < 0 and known.max_epochs != 0 and not stops:
        raise UserError(
            "training batches are one endless stream without epochs, so trainer.max_epochs never comes: set "
            "trainer.max_steps"
        )
    if (known.check_val_every_n_epoch or 1) > 1:
        raise UserError(
            f"trainer.check_val_every_n_epoch {known.check_val_every_n_epoch} never comes, as training batches are one "
            "endless stream without epochs: set it to null, and trainer.val_check_interval to a number of batches"
        )
    limit, needed = known.limit_train_batches, known.max_steps * batches_per_step(trainer)
    if isinstance(limit, int) and (needed < 0 or needed > limit):
        raise UserError(
            f"trainer.limit_train_batches {limit} would begin the stream of batches anew each time; leave "
            "it out, and set trainer.max_steps"
        )


def check_least(least: int, **options: int) -> None:
    """Complain, by its name, of an option below the least value that makes sense."""
    for option, value in options.items():
        if value < least:
            raise UserError(f"--data.{option} must be {least} or more, not {value}.")


class ExampleRows(Dataset[TextBatch]):
    """Rows of (task name, example), fetched a batch at a time by a list of row numbers."""

    def __init__(self, rows: list[tuple[str, Example]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: list[int]) -> TextBatch:
        return collate(self.rows[number] for number in numbers)


def prefix_of(task: str) -> str:
    """What stands before a task's inputs where its name does, as in CrossFit."""
    return f"[{task}] "


class TextData(pl.LightningDataModule):
    """What the data modules share: loaders over rows, and the place in the training stream.

    Attributes:
        task: the one task of this data, or None for a mixture; set by ``setup``.
        labels: the label words, of all tasks; set by ``setup``.
        task_names: the tasks that are learned on; set by ``setup``.
        sources: the source tasks, where those that are not there are left out: a resumed run must find the same; set
            by ``setup``.
    """

    gives_episodes = False
    """Whether its batches are episodes."""

    def __init__(
        self,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        task_prefix: bool = False,
        references: ReferenceChoice = "first",
    ) -> None:
        super().__init__()
        check_least(1, batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_least(0, num_workers=num_workers, seed=seed)
        check_references(references)
        self.task_prefix, self.references = task_prefix, references
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.task: Task | None = None
        self.labels: tuple[str, ...] = ()
        self.task_names: tuple[str, ...] = ()
        self.sources: list[str] | None = None
        # Where the run that is resumed stood: batches consumed at that optimiser step.
        self._resumed_batches = self._resumed_step = 0

    def outputs(self) -> list[Outputs]:
        """What is to be learned and scored, by task; not of unlabelled text."""
        return []

    def stream_options(self) -> dict[str, Any]:
        """The options, by name, that decide what is learned on, step by step, and the examples themselves."""
        given = {**vars(getattr(self, "given", self)), **vars(self)}
        options = plain_options({name: given[name] for name in _OF_THE_STREAM if name in given})
        # Of sources that may come and go, load_state_dict says which did.
        return options if self.learned is None or self.sources is not None else {**options, "examples": self.learned}

    @cached_property
    def learned(self) -> str | None:
        """How many examples are learned on and choose what is kept, and a digest of them; none of unlabelled text."""
        digest, count = hashlib.sha256(), 0
        parts = [(one.name, split, examples) for one in self.outputs() for split, examples in one.splits.items()]
        for name, split, examples in [part for part in parts if part[1] != "test"] + self._beside_it():
            for example in examples:
                digest.update(repr((name, split, example)).encode())
            count += len(examples)
        return f"{count} (digest {digest.hexdigest()[:8]})" if count else None

    def _beside_it(self) -> list[tuple[str, str, Sequence[Example]]]:
        """By task and split, examples that are learned on and that are none of its outputs."""
        return []

    def state_dict(self) -> dict[str, Any]:
        place = {"batches": self._consumed(), "step": self._step()}
        return place if self.sources is None else {**place, "sources": self.sources}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before = state_dict.get("sources")
        if before is not None and self.sources is not None and before != self.sources:
            changed = ", ".join(sorted(set(before) ^ set(self.sources)))
            raise UserError(
                f"The run that is resumed began with other source tasks: {changed or 'in another order'}. Name its own "
                f"by --data.partition null --data.tasks [{','.join(before)}], or start anew without --ckpt_path."
            )
        self._resumed_batches, self._resumed_step = int(state_dict["batches"]), int(state_dict["step"])

    def _step(self) -> int:
        return self.trainer.global_step if self.trainer is not None else self._resumed_step

    def _consumed(self) -> int:
        """Batches consumed by completed optimiser steps, over the whole run.

        Counted from the step that was resumed, since the run before it may have accumulated gradients over another
        number of batches (a meta-learner's own; the trainer's number must stay). The batches of a step that was not
        completed are drawn again: their gradients are lost.
        """
        accumulated = batches_per_step(self.trainer) if self.trainer is not None else 1
        return self._resumed_batches + (self._step() - self._resumed_step) * accumulated

    def _place(self, option: str = "batch_size", counted: str = "examples") -> dict[str, int]:
        """Where in a stream a training loader starts, and this device's part in it.

        Args:
            option: the one that says what the devices share of a batch.
            counted: what it counts.
        """
        if self._step() < self._resumed_step:  # not the resumed fit, but a new one with the same data
            self._resumed_batches = self._resumed_step = 0
        rank, world_size = self._device()
        if (size := getattr(self, option)) % world_size:
            raise UserError(
                f"--data.{option} counts the {counted} over all devices, and {size} cannot be "
                f"shared equally by {world_size}."
            )
        return {"start": self._consumed(), "rank": rank, "world_size": world_size}

    def _check_interval(self, validation: Sequence[str]) -> None:
        """An endless stream has no epoch to validate after: that would silently never happen."""
        if validation and self.trainer is not None and isinstance(self.trainer.val_check_interval, float):
            raise UserError(
                "--data.validation needs trainer.val_check_interval, a number of batches to validate after."
            )

    def _device(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _read(self, task: str, examples: Sequence[Example]) -> list[Example]:
        """A task's examples as they are read: with its name in front of the inputs where that is asked for."""
        if not self.task_prefix or is_text(examples):
            return list(examples)
        return [Example(prefix_of(task) + example.input, example.targets) for example in examples]

    def _loader(self, data: Dataset[AnyBatch], sampler: Sampler[Any]) -> DataLoader[AnyBatch]:
        # batch_size=None: the sampler's lists go to the data set as they are, one list a batch.
        return DataLoader(data, sampler=sampler, batch_size=None, num_workers=self.num_workers)

    def _stream(self, rows: list[tuple[str, Example]], sampler: Sampler[Any]) -> DataLoader[TextBatch]:
        return self._loader(ExampleRows(rows), sampler)

    def _sequence(self, rows: list[tuple[str, Example]]) -> DataLoader[TextBatch]:
        return self._stream(rows, SequentialBatches(len(rows), self.eval_batch_size, *self._device()))
