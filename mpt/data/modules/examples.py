"""Lightning data modules: one task's few-shot draw, and a mixture of source tasks.

Training batches come as one endless epoch, whose batches are a pure function of the seed and the number of
batches
consumed: run a Trainer with ``max_steps``, ``val_check_interval`` and ``check_val_every_n_epoch=None``.
Resuming from a checkpoint goes on with the batch after the last that a completed optimiser step consumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, Timer
from torch.utils.data import DataLoader, Dataset, Sampler

from mpt.data.fewshot.files import SYNTHETIC, load_examples, load_fewshot
from mpt.data.fewshot.missing import Missing
from mpt.data.fewshot.sources import Sources, check_splits, source_labels, source_outputs
from mpt.data.modules.batch import EpisodeBatch, TextBatch, collate
from mpt.data.modules.denoising import Objective
from mpt.data.modules.references import References, check_references
from mpt.data.modules.steps import batches_per_step
from mpt.data.modules.streams import MixtureSampler, Placed, SequentialBatches, StreamSampler
from mpt.data.modules.unlabelled import TextRows, check_objective, documents, refuse_text
from mpt.data.tasks.mixing import SIZE_LIMIT, mixing_rates
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, FewShot, Shots, Task, is_text
from mpt.library.retrieval import Retrieval
from mpt.util.errors import UserError

Batch = TypeVar("Batch", TextBatch, EpisodeBatch)


def check_stream(trainer: pl.Trainer) -> None:
    """Refuse Trainer options that an endless stream of batches cannot follow.

    Raises:
        UserError: naming the option and what to use instead.
    """
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
            f"trainer.limit_train_batches {limit} would begin the stream of batches anew each time; set "
            "trainer.max_steps"
        )


def check_least(least: int, **options: int) -> None:
    """Complain, by its name, of an option below the least value that makes sense."""
    for option, value in options.items():
        if value < least:
            raise UserError(f"--data.{option} must be {least} or more, not {value}.")


class Rows(Dataset[TextBatch]):
    """Rows of (task name, example), fetched a batch at a time by a list of row numbers."""

    def __init__(self, rows: list[tuple[str, Example]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: list[int]) -> TextBatch:
        return collate(self.rows[number] for number in numbers)


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
        references: References = "first",
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
        self._resumed_batches, self._resumed_step = state_dict["batches"], state_dict["step"]

    def _step(self) -> int:
        return self.trainer.global_step if self.trainer is not None else self._resumed_step

    def _consumed(self) -> int:
        """Batches consumed by completed optimiser steps, over the whole run.

        Counted from the step that was resumed, since the run before it may have accumulated gradients over
        another number of batches. The batches of a step that was not completed are drawn again: their
        gradients are lost.
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
        return [Example(f"[{task}] {example.input}", example.targets) for example in examples]

    def _loader(self, data: Dataset[Batch], sampler: Sampler[Any]) -> DataLoader[Batch]:
        # batch_size=None: the sampler's lists go to the data set as they are, one list a batch.
        return DataLoader(data, sampler=sampler, batch_size=None, num_workers=self.num_workers)

    def _stream(self, rows: list[tuple[str, Example]], sampler: Sampler[Any]) -> DataLoader[TextBatch]:
        return self._loader(Rows(rows), sampler)

    def _sequence(self, rows: list[tuple[str, Example]]) -> DataLoader[TextBatch]:
        return self._stream(rows, SequentialBatches(len(rows), self.eval_batch_size, *self._device()))


class FewShotData(TextData):
    """One few-shot draw of one task.

    Trains on its train examples, validates on dev, tests and predicts on test. Of unlabelled text
    (:mod:`mpt.data.modules.unlabelled`) the examples are those of prefix LM: a beginning and its rest.

    Attributes:
        fewshot: the draw; set by ``setup``.
        task: its task; set by ``setup``.

    Args:
        task: Name of the task: its folder under root, or one of the embedded suite.
        root: Folder with one folder of CrossFit TSV files per task, or the word ``synthetic`` for the
            embedded suite.
        seed: Which draw of the task; also seeds the order of the training batches.
        k: Size of the draw, as in the file names: a number, or all; needed only where a folder holds several sizes.
        metric: Metric in place of the catalogue's; needed for a task that is not in the catalogue.
        batch_size: Training examples per batch, over all devices.
        eval_batch_size: Examples per batch in validation, test and prediction, on each device.
        test_examples: At most so many examples of the test list, from its start, are tested and predicted; CrossFit
            takes 10,000. Null takes all.
        num_workers: Processes that load batches beside the training process.
        task_prefix: Put the task's name in front of each input, ``[name] input``, as CrossFit does; unlabelled text has
            none.
        references: Which of several references training predicts: the ``first``, or one that is ``drawn`` each time an
            example comes, as in CrossFit. All of them count in a score, either way.
    """

    def __init__(
        self,
        task: str,
        root: str = SYNTHETIC,
        seed: int = 13,
        k: Shots | None = None,
        metric: str | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 32,
        test_examples: int | None = 10_000,
        num_workers: int = 0,
        task_prefix: bool = False,
        references: References = "first",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, num_workers, seed, task_prefix, references)
        if test_examples is not None:
            check_least(1, test_examples=test_examples)
        self.task_name, self.root, self.k, self.metric = task, root, k, metric
        self.test_examples = test_examples
        self.fewshot: FewShot | None = None

    def setup(self, stage: str | None = None) -> None:
        if self.fewshot is None:
            self.fewshot = load_fewshot(self.root, self.task_name, self.seed, self.k, self.metric)
            self.task = self.fewshot.task
            self.labels = self.task.labels
            self.task_names = (self.task.name,)

    def outputs(self) -> list[Outputs]:
        self.setup()
        assert self.fewshot is not None
        draw = self.fewshot
        splits = {"train": draw.train, "dev": draw.dev, "test": draw.test[: self.test_examples]}
        return Outputs.of(draw.task, splits, self.references == "drawn")

    def train_dataloader(self) -> DataLoader[TextBatch]:
        rows = self._rows("train")
        sampler = StreamSampler(len(rows), self.batch_size, self.seed, **self._place())
        texts = [self.task_name] if is_text([example for _, example in rows]) else []
        if not texts and self.references == "first":
            return self._stream(rows, sampler)
        return self._loader(TextRows(rows, texts, self.seed, references=self.references), Placed(sampler))

    def val_dataloader(self) -> DataLoader[TextBatch]:
        return self._sequence(self._rows("dev"))

    def test_dataloader(self) -> DataLoader[TextBatch]:
        return self._sequence(self._rows("test"))

    def predict_dataloader(self) -> DataLoader[TextBatch]:
        return self.test_dataloader()

    def _rows(self, split: Literal["train", "dev", "test"]) -> list[tuple[str, Example]]:
        self.setup()
        assert self.fewshot is not None
        examples = getattr(self.fewshot, split)
        if split == "test":
            examples = examples[: self.test_examples]
        rows = [(self.fewshot.task.name, example) for example in self._read(self.fewshot.task.name, examples)]
        if split != "train" and is_text(examples):
            # Cut at the same places whatever the seed, so that scores can be compared.
            texts = TextRows(rows, [self.fewshot.task.name], 0)
            rows = [texts.row(number, number) for number in range(len(rows))]
        return rows


class MixtureData(TextData):
    """Examples of many source tasks, mixed: what multi-task learning (SPoT) learns one prompt on.

    A task's examples are those of all its draws, each different one once. Every row of a batch is drawn by
    itself: a task by examples-proportional mixing rates, then one of its examples. A prompt is not validated
    on its source tasks, so there are validation batches only where tasks are named for them.

    A source task whose inputs are empty is unlabelled text (see :mod:`mpt.data.modules.unlabelled`), by itself or
    among others: its documents become an input and a target each time that they are drawn.

    Args:
        tasks: Names of the source tasks, or of mixtures of them (`mpt mixtures`); either these or a partition.
        partition: Name of a shipped partition or path of a partition's YAML file; its source tasks are mixed.
        root: Folder with one folder of CrossFit TSV files per task, or the word ``synthetic`` for the
            embedded suite.
        seeds: Draws whose examples are pooled.
        splits: Parts of each draw that are pooled, of ``train``, ``dev`` and ``test``.
        limit: Artificial size limit: a task with more examples is drawn from as if it had this many (SPoT: 2**19).
        temperature: Flattens the mixing rates where above 1; 1 is proportional to the (limited) sizes.
        k: Size of the draws, as in the file names: a number, or all; needed only where a folder holds several sizes.
        validation: Names of tasks whose dev examples (of the first of the seeds) validate; none unless given.
        seed: Seeds the training batches.
        batch_size: Training examples per batch, over all devices.
        eval_batch_size: Examples per batch in validation, on each device.
        num_workers: Processes that load batches beside the training process.
        missing: What is done about source tasks that are not under root: ``error`` names them all, ``skip`` leaves them
            out and says so.
        objective: What is learned of unlabelled text: ``prefix-lm`` (input: the first part of a window, target: the
            rest) or ``span-corruption``.
        window: Words of unlabelled text in an example.
        retrieved: The source tasks, in place of tasks or a partition: those that a target's key retrieves.
        target: Name of a target task that is mixed in (SPoT's multi-task mixture): the train examples of its draw
            ``seed``, and no other part of it.
        target_k: Size of that draw, as in the file names: a number, or all; needed only where a folder holds several
            sizes. It never is ``k``: draws of two sizes share examples, and what is train in one may be dev in another.
        task_prefix: Put the task's name in front of each input, ``[name] input``, as CrossFit does; unlabelled text has
            none.
        references: Which of several references training predicts: the ``first``, or one that is ``drawn`` each time an
            example comes, as in CrossFit. All of them count in a score, either way.
    """

    def __init__(
        self,
        tasks: list[str] | None = None,
        partition: str | None = None,
        root: str = SYNTHETIC,
        seeds: Sequence[int] = (13, 21, 42, 87, 100),
        splits: Sequence[Literal["train", "dev", "test"]] = ("train", "dev"),
        limit: int | None = SIZE_LIMIT,
        temperature: float = 1.0,
        k: Shots | None = None,
        validation: list[str] | None = None,
        seed: int = 13,
        batch_size: int = 32,
        eval_batch_size: int = 32,
        num_workers: int = 0,
        missing: Missing = "error",
        objective: Objective = "prefix-lm",
        window: int = 200,
        retrieved: Retrieval | None = None,
        target: str | None = None,
        target_k: Shots | None = None,
        task_prefix: bool = False,
        references: References = "first",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, num_workers, seed, task_prefix, references)
        held_out = tuple(validation or ())
        self.given = Sources(tasks, partition, root, tuple(seeds), k, missing, retrieved, held_out, target)
        check_splits(splits=splits)
        mixing_rates([1], limit, temperature)  # complains of a wrong limit or temperature at once
        check_objective(objective, window)
        self.objective, self.window = objective, window
        self.splits, self.limit, self.temperature = tuple(splits), limit, temperature
        self.target_k = target_k
        self.pools: dict[str, list[Example]] = {}
        self._validation_rows: list[tuple[str, Example]] = []

    def setup(self, stage: str | None = None) -> None:
        if self.pools:
            return
        names = self.given.names()
        self.sources = names if self.given.may_change else None
        self.pools = {name: self._pool(name) for name in names}
        if self.given.target is not None:
            self.pools[self.given.target] = self._of_target(self.given.target)
        self.labels = source_labels(self.given.root, self.pools)
        self.task_names = tuple(self.pools)
        self._validation_rows = [
            (name, example)
            for name in self.given.validation
            for example in self._read(
                name, load_examples(self.given.root, name, self.given.seeds[0], ["dev"], self.given.k)
            )
        ]
        held_out = {
            name: [row for task, row in self._validation_rows if task == name] for name in self.given.validation
        }
        refuse_text(held_out, "which has no score; --data.validation names tasks with answers")

    def outputs(self) -> list[Outputs]:
        self.setup()
        held_out = [
            Outputs(name, {"dev": [example for task, example in self._validation_rows if task == name]})
            for name in self.given.validation
        ]
        return source_outputs(self.given.root, self.pools, self.references == "drawn") + held_out

    def train_dataloader(self) -> DataLoader[TextBatch]:
        self.setup()
        self._check_interval(self.given.validation)
        rows = [(name, example) for name, pool in self.pools.items() for example in self._read(name, pool)]
        sizes = [len(pool) for pool in self.pools.values()]
        rates = mixing_rates(sizes, self.limit, self.temperature)
        sampler = MixtureSampler(sizes, rates, self.batch_size, self.seed, **self._place())
        texts = [name for name, pool in self.pools.items() if is_text(pool)]
        if not texts and self.references == "first":
            return self._stream(rows, sampler)
        made = TextRows(rows, texts, self.seed, self.objective, self.window, self.references)
        return self._loader(made, Placed(sampler))

    def val_dataloader(self) -> DataLoader[TextBatch] | list[DataLoader[TextBatch]]:
        self.setup()
        return self._sequence(self._validation_rows) if self.given.validation else []

    def _of_target(self, name: str) -> list[Example]:
        try:
            return load_examples(self.given.root, name, self.seed, ["train"], self.target_k)
        except UserError as error:
            raise UserError(str(error).replace("--data.k", "--data.target_k")) from error

    def _pool(self, name: str) -> list[Example]:
        """All examples of a task's draws, each different one once, in the order of their first occurrence."""
        draws = [load_examples(self.given.root, name, seed, self.splits, self.given.k) for seed in self.given.seeds]
        pool = list(dict.fromkeys(example for draw in draws for example in draw))
        if is_text(pool) and not (pool := documents(pool)):
            raise UserError(f"The unlabelled text {name} in {self.given.root} has no document of two words or more.")
        return pool
