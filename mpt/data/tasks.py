"""What a task is: a named set of (input text, target text) examples with a type and a metric."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a task.

    Attributes:
        input: the input text.
        targets: every gold output; training predicts the first, metrics compare with all of them.
    """

    input: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """Facts about a task that do not depend on a sample of its data.

    Attributes:
        name: as in the data folders, for example ``superglue-cb``.
        type: ``classification``, ``paraphrase``, ``qa``, ``generation`` or ``other``.
        metric: one of :data:`mpt.metrics.METRICS`.
        labels: the label words, empty where the answer is free text.
    """

    name: str
    type: str
    metric: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class FewShot:
    """One few-shot draw of a task: its train, dev and test examples for a seed.

    Attributes:
        k: examples per label (sampled by label) or in all, as in CrossFit's file names.
    """

    task: Task
    seed: int
    k: int
    train: list[Example] = field(repr=False)
    dev: list[Example] = field(repr=False)
    test: list[Example] = field(repr=False)
