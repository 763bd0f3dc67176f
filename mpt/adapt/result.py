"""What the search for a prompt came to: what became of each start, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mpt.adapt.tuning import Tuned
from mpt.record.rows import Prediction
from mpt.util.errors import UserError


@dataclass
class TriedStart:
    """A start and what tuning from it came to.

    Attributes:
        start: its name, see :class:`mpt.adapt.starts.Start`.
        task: that a library's entry was learned on; empty for the others.
        similarity: of the entry's key to the task's.
        tuned: what became of it.
        made: see :class:`mpt.adapt.starts.Start`.
    """

    start: str
    task: str
    similarity: float | None
    tuned: Tuned
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> float:
        """Dev score of the start itself."""
        return float(self.tuned.history[0]["dev/score"]) if self.tuned.history else float("nan")


@dataclass
class Together:
    """Some prompts that answer together.

    Attributes:
        members: the best on dev, best first.
        dev, test: the score of their vote; of test, if there is one, and the members' own, in their order.
    """

    members: list[TriedStart]
    dev: float = 0.0
    test: tuple[float, list[float]] | None = None


@dataclass
class AdaptResult:
    """The result of an adaptation.

    Attributes:
        tries: the one from sampled vocabulary first, a library's last, by similarity.
        chosen: the best of them on dev.
        key: the task's, ``[P, H]``; None without a library where the tuning is shorter than that.
        test: with a test file, the scores of the chosen prompt and of the one from sampled vocabulary.
        outputs: of the chosen prompt, by split, of each example.
        labels: of which the likeliest was the answer; empty where the model wrote.
        inputs_cut: how many inputs were longer than the backbone was told to read.
        together: the vote of several prompts, if it was asked for.
    """

    tries: list[TriedStart]
    chosen: TriedStart
    key: Tensor | None
    test: tuple[float, float | None] | None = None
    outputs: dict[str, list[Prediction]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    inputs_cut: int = 0
    together: Together | None = None

    @property
    def plain(self) -> TriedStart:
        """The tuning that started from sampled vocabulary, which the others are compared with."""
        return self.tries[0]


def ranked(tries: Sequence[TriedStart]) -> list[TriedStart]:
    """The highest dev score first; of equal ones the lowest dev loss, which tells more on a few examples.

    Raises:
        UserError: all of them failed.
    """
    good = [one for one in tries if one.tuned.value is not None]
    if not good:
        raise UserError(f"no tuning came to an end; from {tries[0].start}: {tries[0].tuned.ended}")
    return sorted(good, key=lambda one: (-one.tuned.dev_score, one.tuned.dev_loss))
