"""A Lightning data module of episodes: what meta-learning learns one prompt on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch.utils.data import DataLoader, Dataset

from mpt.data.fewshot.files import SYNTHETIC, find_task, load_splits, with_labels
from mpt.data.fewshot.missing import Missing
from mpt.data.fewshot.sources import Sources, check_splits, source_labels, source_outputs
from mpt.data.modules.batch import Episode, EpisodeBatch, TextBatch, collate
from mpt.data.modules.references import ReferenceChoice, drawn
from mpt.data.modules.streams import (
    EpisodeSampler,
    Numbers,
    SequentialBatches,
    episode_draw,
    episode_rows,
    validation_rows,
)
from mpt.data.modules.text_data import TextData, check_least
from mpt.data.modules.unlabelled import refuse_text
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, Shots, Task
from mpt.library.retrieval import Retrieval
from mpt.util.errors import UserError
from mpt.util.yaml_file import called, is_yaml


@dataclass(frozen=True)
class SourceDraw:
    """A draw of a task as episodes are taken from it.

    Attributes:
        task: name of the task.
        examples: each different one once, so that different rows are different examples.
        support, query: the rows of either part.
    """

    task: str
    examples: list[Example]
    support: Numbers
    query: Numbers

    @classmethod
    def of(cls, task: str, support: list[Example], query: list[Example]) -> SourceDraw:
        """A draw whose episodes adapt on some examples and are judged on some, perhaps the same."""
        rows = {example: row for row, example in enumerate(dict.fromkeys([*support, *query]))}
        parts = (np.array([rows[example] for example in dict.fromkeys(part)]) for part in (support, query))
        return cls(task, list(rows), *parts)


@dataclass(frozen=True)
class Episodes(Dataset[EpisodeBatch]):
    """Endlessly many episodes, each made when its number asks for it; fetched a list of numbers at a time.

    Attributes:
        draws: for each task, its draws, as many of each.
        batch_size: rows of a support batch.
        support_batches: number of support batches.
        query_batch_size: rows of the query batch.
        size: number of episodes of a meta-batch, over all devices.
        seed: of everything that is drawn.
        references: whether training predicts the first one, or one that is drawn.
    """

    draws: list[list[SourceDraw]]
    batch_size: int
    support_batches: int
    query_batch_size: int
    size: int
    seed: int
    references: ReferenceChoice

    def __getitem__(self, numbers: list[int]) -> EpisodeBatch:
        return EpisodeBatch([self.episode(number) for number in numbers], self.size)

    def episode(self, number: int) -> Episode:
        """The episode of a number: a function of that and the seed alone."""
        task, place = episode_draw(number, len(self.draws), len(self.draws[0]), self.seed)
        draw = self.draws[task][place]
        support, query = episode_rows(
            number, draw.support, draw.query, self.support_batches * self.batch_size, self.query_batch_size, self.seed
        )
        batches = list(self._batch(draw, support, "support", number).parts(self.batch_size))
        return Episode(draw.task, number, batches, self._batch(draw, query, "query", number))

    def _batch(self, draw: SourceDraw, rows: Numbers, part: str, number: int) -> TextBatch:
        """Rows of a draw, as a part of the episode of a number."""
        examples = [draw.examples[row] for row in rows]
        if self.references == "drawn":
            examples = [drawn(example, self.seed, number, part, place) for place, example in enumerate(examples)]
        return collate((draw.task, example) for example in examples)


@dataclass(frozen=True)
class _Prepared(Dataset[EpisodeBatch]):
    """Episodes made beforehand, fetched by a list of one number."""

    episodes: list[Episode]

    def __getitem__(self, numbers: list[int]) -> EpisodeBatch:
        return EpisodeBatch([self.episodes[number] for number in numbers], size=1)


class EpisodeData(TextData):
    """Episodes of many source tasks: what meta-learning learns one prompt on (Qin et al. 2023, sections 4.3, 5.2).

    An episode has support batches from the train examples of one draw of one task, and a query batch from its
    dev examples. Every epoch has one episode of each source task, in an order of its own, and from epoch to epoch
    a task goes through its draws. A prompt is not validated on its source tasks, so there are validation episodes
    only where tasks are named for them: one a task, which adapts on a fixed choice of its train examples and is
    judged on all of its dev examples.

    Attributes:
        validation_tasks: the validation tasks by name; set by ``setup``.

    Args:
        tasks: Names of the source tasks; either these or a partition.
        partition: Name of a shipped partition or path of a partition's YAML file; its source tasks are learned on.
        root: Folder with one folder of CrossFit TSV files per task, or the word ``synthetic`` for the
            embedded suite.
        seeds: Draws of each task that episodes are made of.
        k: Size of the draws, as in the file names: a number, or all; needed only where a folder holds several sizes.
        support_splits: Parts of a draw that support batches are taken from, of ``train``, ``dev`` and ``test``.
        query_splits: Parts of a draw that query batches are taken from. They may be the same: an example is never
            in both the support and the query of an episode.
        batch_size: Support examples per inner batch, of every episode; not shared among devices.
        query_batch_size: Query examples of every episode; as many as ``batch_size`` unless given.
        support_batches: Support batches per episode, which inner steps take in turn.
        meta_batch_size: Episodes per meta-batch, over all devices.
        validation: Names of tasks whose dev examples (of the first of the seeds) validate; none unless given.
        validation_batch_size: Support examples per inner batch of a validation episode; ``batch_size`` unless given.
        seed: Seeds the training episodes, and the support of the validation episodes.
        eval_batch_size: Query examples of a validation episode that are generated for at once, on each device.
        num_workers: Processes that load batches beside the training process.
        metric: Metric of the validation tasks in place of the catalogue's; needed for a validation task that is
            not in the catalogue.
        missing: What is done about source tasks that are not under root: ``error`` names them all, ``skip`` leaves them
            out and says so.
        retrieved: The source tasks, in place of tasks or a partition: those that a target's key retrieves.
        task_prefix: Put the task's name in front of each input, ``[name] input``, as CrossFit does.
        references: Which of several references training predicts: the ``first``, or one that is ``drawn`` each time an
            example comes, as in CrossFit. Validation episodes adapt to the first, and are scored on all.
    """

    gives_episodes = True

    def __init__(
        self,
        tasks: list[str] | None = None,
        partition: str | None = None,
        root: str = SYNTHETIC,
        seeds: Sequence[int] = (13, 21, 42, 87, 100),
        k: Shots | None = None,
        support_splits: Sequence[Literal["train", "dev", "test"]] = ("train",),
        query_splits: Sequence[Literal["train", "dev", "test"]] = ("dev",),
        batch_size: int = 4,
        query_batch_size: int | None = None,
        support_batches: int = 1,
        meta_batch_size: int = 1,
        validation: list[str] | None = None,
        validation_batch_size: int | None = None,
        seed: int = 13,
        eval_batch_size: int = 32,
        num_workers: int = 0,
        metric: str | None = None,
        missing: Missing = "error",
        retrieved: Retrieval | None = None,
        task_prefix: bool = False,
        references: ReferenceChoice = "first",
    ) -> None:
        super().__init__(batch_size, eval_batch_size, num_workers, seed, task_prefix, references)
        self.query_batch_size = batch_size if query_batch_size is None else query_batch_size
        self.validation_batch_size = batch_size if validation_batch_size is None else validation_batch_size
        check_least(
            1,
            validation_batch_size=self.validation_batch_size,
            query_batch_size=self.query_batch_size,
            support_batches=support_batches,
            meta_batch_size=meta_batch_size,
        )
        held_out = tuple(validation or ())
        self.given = Sources(tasks, partition, root, tuple(seeds), k, missing, retrieved, held_out)
        check_splits(support_splits=support_splits, query_splits=query_splits)
        if len(set(held_out)) < len(held_out):
            raise UserError(f"--data.validation must name each task once, not {validation}.")
        self.metric = metric
        self.support_splits, self.query_splits = tuple(support_splits), tuple(query_splits)
        self.support_batches, self.meta_batch_size = support_batches, meta_batch_size
        self.validation_tasks: dict[str, Task] = {}
        self._draws: dict[str, list[SourceDraw]] = {}
        self._validation_episodes: list[Episode] = []

    def setup(self, stage: str | None = None) -> None:
        if self._draws:
            return
        names = self.given.names()
        self.sources = names if self.given.may_change else None
        self._validation_episodes = [self._validate(place, name) for place, name in enumerate(self.given.validation)]
        draws = {name: [self._draw(name, seed) for seed in self.given.seeds] for name in names}
        pools = _pools(draws)
        refuse_text(pools, "which only MixtureData can learn from")
        self.labels = source_labels(self.given.root, pools)
        self.task_names = tuple(map(called, names))
        self._draws = draws

    def outputs(self) -> list[Outputs]:
        self.setup()
        held_out = [
            Outputs(one.task, {"dev": list(one.query.examples())}, self.validation_tasks[one.task].metric)
            for one in self._validation_episodes
        ]
        return source_outputs(self.given.root, _pools(self._draws), self.references == "drawn") + held_out

    def train_dataloader(self) -> DataLoader[EpisodeBatch]:
        self.setup()
        self._check_interval(self.given.validation)
        sampler = EpisodeSampler(self.meta_batch_size, self.seed, **self._place("meta_batch_size", "episodes"))
        episodes = Episodes(
            list(self._draws.values()),
            self.batch_size,
            self.support_batches,
            self.query_batch_size,
            self.meta_batch_size,
            self.seed,
            self.references,
        )
        return self._loader(episodes, sampler)

    def val_dataloader(self) -> DataLoader[EpisodeBatch] | list[DataLoader[EpisodeBatch]]:
        self.setup()
        if not self.given.validation:
            return []
        episodes = self._validation_episodes
        return self._loader(_Prepared(episodes), SequentialBatches(len(episodes), 1, *self._device()))

    def _draw(self, name: str, seed: int) -> SourceDraw:
        splits = load_splits(self.given.root, name, seed, [*self.support_splits, *self.query_splits], self.given.k)
        support, query = (
            self._read(called(name), [example for split in part for example in splits[split]])
            for part in (self.support_splits, self.query_splits)
        )
        draw = SourceDraw.of(called(name), support, query)
        if len(draw.examples) < 2:
            raise UserError(
                f"Draw {seed} of {name} has but one example for both support and query; "
                "--data.support_splits and --data.query_splits must give each its own."
            )
        return draw

    def _validate(self, place: int, name: str) -> Episode:
        """The validation episode of a task, which is noted as well."""
        task = find_task(self.given.root, name, self.metric)
        splits = load_splits(self.given.root, name, self.given.seeds[0], ["train", "dev"], self.given.k)
        own, name = is_yaml(name), called(name)
        train, dev = self._read(name, splits["train"]), self._read(name, splits["dev"])
        self.validation_tasks[name] = task if own else with_labels(task, train)
        rows = validation_rows(place, len(train), self.support_batches * self.validation_batch_size, self.seed)
        support = [collate((name, train[row]) for row in part) for part in np.split(rows, self.support_batches)]
        return Episode(name, place, support, collate((name, example) for example in dev))


def _pools(draws: Mapping[str, list[SourceDraw]]) -> dict[str, list[Example]]:
    """The examples of all draws of each task."""
    return {name: [example for draw in own for example in draw.examples] for name, own in draws.items()}
