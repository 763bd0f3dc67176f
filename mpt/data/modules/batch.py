"""What data modules hand to learners: text. Learners encode it with their backbone's tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mpt.data.tasks.task import Example


@dataclass(frozen=True, slots=True)
class TextBatch:
    """B examples, each with the name of its task.

    Attributes:
        inputs: B input texts.
        targets: B texts that training predicts, each the first of its references.
        references: for each, every gold output.
        tasks: for each, the name of its task.
    """

    inputs: list[str]
    targets: list[str]
    references: list[tuple[str, ...]]
    tasks: list[str]

    def __len__(self) -> int:
        return len(self.inputs)

    def examples(self) -> Iterator[Example]:
        """The examples that it was made of."""
        return map(Example, self.inputs, self.references)

    def parts(self, size: int) -> Iterator[TextBatch]:
        """The same examples in batches of at most this size."""
        for first in range(0, len(self), size):
            rows = slice(first, first + size)
            yield TextBatch(self.inputs[rows], self.targets[rows], self.references[rows], self.tasks[rows])

    def to(self, *_: Any, **__: Any) -> TextBatch:
        """This batch, for text is on no device. (Lightning moves a batch that has this method by calling it.)"""
        return self


def collate(rows: Iterable[tuple[str, Example]]) -> TextBatch:
    """Rows of (task name, example) as one batch, in their order."""
    rows = list(rows)
    return TextBatch(
        inputs=[example.input for _, example in rows],
        targets=[example.targets[0] for _, example in rows],
        references=[example.targets for _, example in rows],
        tasks=[task for task, _ in rows],
    )


def join(batches: Sequence[TextBatch]) -> TextBatch:
    """All rows of some batches as one, in their order."""
    return TextBatch(
        inputs=[text for batch in batches for text in batch.inputs],
        targets=[text for batch in batches for text in batch.targets],
        references=[texts for batch in batches for texts in batch.references],
        tasks=[task for batch in batches for task in batch.tasks],
    )


@dataclass(frozen=True, slots=True)
class Episode:
    """What a meta-learner sees of one task at a time: it adapts on the support and is judged on the query.

    Attributes:
        task: name of the one task that all its examples are of.
        number: of the episode, counted from 0 over the whole run and all devices.
        support: one batch or more; an inner step takes one of them.
        query: other examples of the task.
    """

    task: str
    number: int
    support: list[TextBatch]
    query: TextBatch


@dataclass(frozen=True, slots=True)
class EpisodeBatch:
    """The episodes of one meta-batch that fall to this device.

    Attributes:
        episodes: this device's share.
        size: number of episodes of the whole meta-batch, over all devices.
    """

    episodes: list[Episode]
    size: int

    def __len__(self) -> int:
        return len(self.episodes)

    def to(self, *_: Any, **__: Any) -> EpisodeBatch:
        """Itself, as of :class:`TextBatch`."""
        return self
