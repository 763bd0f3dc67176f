"""The outputs that a run is to learn and is scored on, by task and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mpt.data.tasks.task import Example, Task, is_text


@dataclass(frozen=True)
class Outputs:
    """The outputs of a task.

    Attributes:
        name: the task's.
        splits: train, dev, test or some of them, to their examples.
        metric: that the outputs are scored by; None if they are only learned.
        labels: the label words, if the outputs are such.
        drawn: whether training predicts any of an example's references, and not the first alone.
    """

    name: str
    splits: Mapping[str, Sequence[Example]] = field(repr=False)
    metric: str | None = None
    labels: tuple[str, ...] = ()
    drawn: bool = False

    @property
    def label_words(self) -> tuple[str, ...]:
        """The label words; where a task does not say that it has any, the training outputs that come up again."""
        if self.labels or "train" not in self.splits:
            return self.labels
        counts = Counter(example.targets[0] for example in self.splits["train"])
        again = tuple(text for text, count in counts.items() if count > 1)
        return again if len(counts) <= counts.total() // 2 else ()

    @classmethod
    def of(cls, task: Task, splits: Mapping[str, Sequence[Example]], drawn: bool = False) -> list[Outputs]:
        """Outputs of a task that is learned by itself and scored; none of unlabelled text."""
        if any(is_text(examples) for examples in splits.values()):
            return []
        return [cls(task.name, splits, task.metric, task.labels, drawn)]
