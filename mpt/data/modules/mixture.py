"""A Lightning data module of a mixture of source tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch.utils.data import DataLoader

from mpt.data.fewshot.files import SYNTHETIC, load_examples, load_pool
from mpt.data.fewshot.missing import Missing
from mpt.data.fewshot.sources import Sources, check_splits, source_labels, source_outputs
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.denoising import DenoisingObjective
from mpt.data.modules.references import ReferenceChoice
from mpt.data.modules.streams import MixtureSampler, Placed
from mpt.data.modules.text_data import TextData
from mpt.data.modules.unlabelled import WINDOW, TextRows, check_objective, check_text_is_read, documents, refuse_text
from mpt.data.tasks.mixing import SIZE_LIMIT, mixing_rates
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, Shots, is_text
from mpt.library.retrieval import Retrieval
from mpt.util.errors import UserError
from mpt.util.yaml_file import called


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
            rest), ``span-corruption``, or another of :mod:`mpt.data.modules.denoising`.
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
        objective: DenoisingObjective = "prefix-lm",
        window: int = WINDOW,
        retrieved: Retrieval | None = None,
        target: str | None = None,
        target_k: Shots | None = None,
        task_prefix: bool = False,
        references: ReferenceChoice = "first",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, num_workers, seed, task_prefix, references)
        held_out = tuple(validation or ())
        self.given = Sources(tasks, partition, root, tuple(seeds), k, missing, retrieved, held_out, target)
        check_splits(splits=splits)
        if target is None and target_k is not None:
            raise UserError(
                f"--data.target_k {target_k} is the size of the draw of --data.target, and none is named; "
                "--data.k is that of the source tasks'"
            )
        mixing_rates([1], limit, temperature)  # complains of a wrong limit or temperature at once
        check_objective(objective, window)
        self.objective, self.window = objective, window
        self.splits, self.limit, self.temperature = tuple(splits), limit, temperature
        self.target_k = target_k
        self.pools: dict[str, list[Example]] = {}
        self._held_out: dict[str, list[Example]] = {}

    def setup(self, stage: str | None = None) -> None:
        if self.pools:
            return
        names, root, seed = self.given.names(), self.given.root, self.given.seeds[0]
        self.sources = names if self.given.may_change else None
        self.pools = {name: self._pool(name) for name in names}
        if self.given.target is not None:
            self.pools[self.given.target] = self._of_target(self.given.target)
        self.labels = source_labels(root, self.pools)
        self.task_names = tuple(map(called, self.pools))
        held_out = {name: load_examples(root, name, seed, ["dev"], self.given.k) for name in self.given.validation}
        self._held_out = {called(name): self._read(called(name), examples) for name, examples in held_out.items()}
        refuse_text(self._held_out, "which has no score; --data.validation names tasks with answers")

    def outputs(self) -> list[Outputs]:
        self.setup()
        held_out = [Outputs(name, {"dev": examples}) for name, examples in self._held_out.items()]
        return source_outputs(self.given.root, self.pools, self.references == "drawn") + held_out

    def train_dataloader(self) -> DataLoader[TextBatch]:
        self.setup()
        self._check_interval(self.given.validation)
        pools = {called(name): pool for name, pool in self.pools.items()}
        rows = [(name, example) for name, pool in pools.items() for example in self._read(name, pool)]
        sizes = [len(pool) for pool in pools.values()]
        rates = mixing_rates(sizes, self.limit, self.temperature)
        sampler = MixtureSampler(sizes, rates, self.batch_size, self.seed, **self._place())
        texts = [name for name, pool in pools.items() if is_text(pool)]
        if not texts:
            check_text_is_read(self.objective, self.window)
        if not texts and self.references == "first":
            return self._stream(rows, sampler)
        made = TextRows(rows, texts, self.seed, self.objective, self.window, self.references)
        return self._loader(made, Placed(sampler))

    def val_dataloader(self) -> DataLoader[TextBatch] | list[DataLoader[TextBatch]]:
        self.setup()
        rows = [(name, example) for name, examples in self._held_out.items() for example in examples]
        return self._sequence(rows) if rows else []

    def _of_target(self, name: str) -> list[Example]:
        try:
            return load_examples(self.given.root, name, self.seed, ["train"], self.target_k)
        except UserError as error:
            raise UserError(str(error).replace("--data.k", "--data.target_k")) from error

    def _pool(self, name: str) -> list[Example]:
        """All examples of a task's draws, each different one once, in the order of their first occurrence."""
        pool = load_pool(self.given.root, name, self.given.seeds, self.splits, self.given.k)
        if is_text(pool) and not (pool := documents(pool)):
            raise UserError(f"The unlabelled text {name} in {self.given.root} has no document of two words or more.")
        return pool
