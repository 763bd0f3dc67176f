"""A Lightning data module of one task's few-shot draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pytorch_lightning.utilities import rank_zero_info
from torch.utils.data import DataLoader

from mpt.data.fewshot.files import SYNTHETIC, load_examples, load_fewshot
from mpt.data.fewshot.other_words import in_other_words
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.denoising import DenoisingObjective
from mpt.data.modules.references import ReferenceChoice
from mpt.data.modules.streams import MixtureSampler, Placed, StreamSampler
from mpt.data.modules.text_data import TextData, check_least, prefix_of
from mpt.data.modules.unlabelled import WINDOW, TextRows, check_objective, check_text_is_read, documents
from mpt.data.tables.own_task import read_own_task
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, FewShot, Shots, is_text
from mpt.util.errors import UserError
from mpt.util.yaml_file import called, is_yaml


class FewShotData(TextData):
    """One few-shot draw of one task.

    Trains on its train examples, validates on dev, tests and predicts on test. Of unlabelled text
    (:mod:`mpt.data.modules.unlabelled`) the examples of dev and test are those of prefix LM, whatever is learned: a
    beginning and its rest.

    Attributes:
        fewshot: the draw; set by ``setup``.
        source: the task as it was named: a name, or the path of a user's own.
        task_name: its name.
        task: its task; set by ``setup``.

    Args:
        task: Name of the task: its folder under root, or one of the embedded suite; or a task of your own, a YAML file
            that names a table, which needs no root.
        root: Folder with one folder of CrossFit TSV files per task, or the word ``synthetic`` for the
            embedded suite.
        seed: Which draw of the task; also seeds the order of the training batches.
        k: Size of the draw, as in the file names: a number, or all; needed only where a folder holds several sizes. Of
            a task of your own, examples of each label (16) or in all (32) to train on, and as many for dev.
        metric: Metric in place of the catalogue's; needed for a task that is not in the catalogue.
        batch_size: Training examples per batch, over all devices.
        eval_batch_size: Examples per batch in validation, test and prediction, on each device.
        test_examples: At most so many examples of the test list are tested and predicted; CrossFit takes 10,000. Null
            takes all.
        test_choice: Which: the ``first``, as CrossFit does, or at even distances (``spread``) where a list is longer.
            Some lists are sorted by label, so that a few hundred from the start have but one.
        num_workers: Processes that load batches beside the training process.
        task_prefix: Put the task's name in front of each input, ``[name] input``, as CrossFit does; unlabelled text has
            none.
        references: Which of several references training predicts: the ``first``, or one that is ``drawn`` each time an
            example comes, as in CrossFit. All of them count in a score, either way.
        mixed: Other tasks in root, and which share of the training rows each is; of them the train examples of the same
            draw are learned on. ``{xquad-text-th: 0.01}`` mixes 1 % Thai text with English questions (Vu et al. 2022).
        objective: What is learned of unlabelled text, the task's own or mixed, see :mod:`mpt.data.modules.denoising`.
        labels_as: Label words of the task, and the words that are read in their place: those that mean the same in
            the task that was learned on.
        window: Words of unlabelled text in a training row, the task's own or mixed.
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
        test_choice: Literal["first", "spread"] = "first",
        num_workers: int = 0,
        task_prefix: bool = False,
        references: ReferenceChoice = "first",
        mixed: dict[str, float] | None = None,
        objective: DenoisingObjective = "prefix-lm",
        labels_as: dict[str, str] | None = None,
        window: int = WINDOW,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, num_workers, seed, task_prefix, references)
        if test_examples is not None:
            check_least(1, test_examples=test_examples)
        self.source, self.root, self.k, self.metric = task, root, k, metric
        self.task_name = called(task)
        self.test_examples, self.test_choice = test_examples, test_choice
        self.labels_as = labels_as or {}
        self.mixed, self.objective, self.window = mixed or {}, objective, window
        check_objective(objective, window)
        if wrong := [f"{name} {share}" for name, share in self.mixed.items() if not 0 < share < 1]:
            raise UserError(f"--data.mixed {wrong[0]}: a share of the training rows is between 0 and 1")
        if self.task_name in self.mixed:
            raise UserError(f"--data.mixed {self.task_name}: that is the task itself; name others")
        if sum(self.mixed.values()) >= 1:
            raise UserError(f"--data.mixed leaves nothing of {task}: its shares sum to {sum(self.mixed.values()):g}")
        self.fewshot: FewShot | None = None

    def setup(self, stage: str | None = None) -> None:
        if self.fewshot is None:
            draw = load_fewshot(self.root, self.source, self.seed, self.k, self.metric)
            for sentence in read_own_task(self.source).tell_draw(self.k) if is_yaml(self.source) else ():
                rank_zero_info(sentence)
            self.fewshot = in_other_words(draw, self.labels_as) if self.labels_as else draw
            self.task = self.fewshot.task
            self.labels = self.task.labels
            self.task_names = (self.task.name,)

    @property
    def template(self) -> str:
        """What the inputs of a user's own task are made of; empty for others."""
        return read_own_task(self.source).input.text if is_yaml(self.source) else ""

    @property
    def input_prefix(self) -> str:
        """What stands before every input, if anything does."""
        return prefix_of(self.task_name) if self.task_prefix else ""

    @property
    def demonstrations(self) -> list[tuple[str, str]]:
        """The train examples as they are read, each with the first of its outputs; none of unlabelled text."""
        self.setup()
        assert self.fewshot is not None
        examples = self.fewshot.train
        if is_text(examples):
            return []
        return [(one.input, one.targets[0]) for one in self._read(self.task_name, examples)]

    def outputs(self) -> list[Outputs]:
        self.setup()
        assert self.fewshot is not None
        draw = self.fewshot
        splits = {"train": draw.train, "dev": draw.dev, "test": self._tested(draw.test)}
        return Outputs.of(draw.task, splits, self.references == "drawn")

    def train_dataloader(self) -> DataLoader[TextBatch]:
        pools = {self.task_name: self._rows("train"), **{name: self._beside(name) for name in self.mixed}}
        rows = [row for pool in pools.values() for row in pool]
        sampler: StreamSampler | MixtureSampler
        if self.mixed:
            shares = np.array([1 - sum(self.mixed.values()), *self.mixed.values()])
            sizes = [len(pool) for pool in pools.values()]
            sampler = MixtureSampler(sizes, shares, self.batch_size, self.seed, **self._place())
        else:
            sampler = StreamSampler(len(rows), self.batch_size, self.seed, **self._place())
        texts = [name for name, pool in pools.items() if is_text([example for _, example in pool])]
        if not texts:
            check_text_is_read(self.objective, self.window)
        if not texts and self.references == "first":
            return self._stream(rows, sampler)
        made = TextRows(rows, texts, self.seed, self.objective, self.window, self.references)
        return self._loader(made, Placed(sampler))

    def _beside_it(self) -> list[tuple[str, str, Sequence[Example]]]:
        return [(name, "mixed", [example for _, example in self._beside(name)]) for name in self.mixed]

    def _beside(self, name: str) -> list[tuple[str, Example]]:
        examples = load_examples(self.root, name, self.seed, ["train"], self.k)
        if is_text(examples) and not (examples := documents(examples)):
            raise UserError(f"--data.mixed {name} in {self.root} has no document of two words or more")
        return [(name, example) for example in self._read(name, examples)]

    def val_dataloader(self) -> DataLoader[TextBatch]:
        return self._sequence(self._rows("dev"))

    def test_dataloader(self) -> DataLoader[TextBatch]:
        return self._sequence(self._rows("test"))

    def predict_dataloader(self) -> DataLoader[TextBatch]:
        return self.test_dataloader()

    def _tested(self, examples: Sequence[Example]) -> Sequence[Example]:
        most, there = self.test_examples, len(examples)
        if most is None or self.test_choice == "first" or there <= most:
            return examples[:most]
        return [examples[number * there // most] for number in range(most)]

    def _rows(self, split: Literal["train", "dev", "test"]) -> list[tuple[str, Example]]:
        self.setup()
        assert self.fewshot is not None
        examples = getattr(self.fewshot, split)
        if is_text(examples) and not (examples := documents(examples)):
            raise UserError(f"the {split} examples of {self.task_name} hold no document of two words or more")
        if split == "test":
            examples = self._tested(examples)
        rows = [(self.fewshot.task.name, example) for example in self._read(self.fewshot.task.name, examples)]
        if split != "train" and is_text(examples):
            # Cut at the same places whatever the seed, so that scores can be compared; no answer holds sentinels.
            texts = TextRows(rows, [self.fewshot.task.name], 0, "prefix-lm")
            rows = [texts.row(number, number) for number in range(len(rows))]
        return rows
