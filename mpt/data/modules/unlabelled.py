"""Unlabelled text as a source task: records whose input is empty and whose output is a document, as in T5's data.

What is learned of a document is made when it is drawn: another window of it, cut at another place, each time. Batches
stay a pure function of the seed and the batch's number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset

from mpt.data.modules.batch import TextBatch, collate
from mpt.data.modules.denoising import OBJECTIVES, DenoisingObjective, words_of
from mpt.data.modules.references import ReferenceChoice, drawn
from mpt.data.tasks.task import Example, is_text
from mpt.util.errors import UserError
from mpt.util.stable_random import StableRandom

WINDOW = 200
"""Words of unlabelled text in an example, unless another number is given."""


def refuse_text(pools: Mapping[str, Sequence[Example]], what: str) -> None:
    """Complain of tasks of unlabelled text where there is no use for them.

    Args:
        what: the end of the sentence: what would be right.
    """
    if texts := [name for name, examples in pools.items() if is_text(examples)]:
        raise UserError(f"{', '.join(texts)} is unlabelled text, {what}.")


def documents(examples: Sequence[Example]) -> list[Example]:
    """Those that can be cut into a beginning and a rest: documents of two words or more."""
    return [example for example in examples if _has_two(example.targets[0])]


def _has_two(text: str) -> bool:
    return len(text.split(maxsplit=1)) > 1 or len(words_of(text)) > 1


def check_objective(objective: str, window: int = 2) -> None:
    """Complain of options of a data module that cannot be right."""
    if objective not in OBJECTIVES:
        raise UserError(f"--data.objective is one of {', '.join(OBJECTIVES)}, not {objective!r}.")
    if window < 2:
        raise UserError(f"--data.window must be at least 2 words, not {window}.")


def check_text_is_read(objective: str, window: int) -> None:
    """Complain of options, where no text is unlabelled, that would do nothing."""
    for option, value, usual in (("objective", objective, "prefix-lm"), ("window", window, WINDOW)):
        if value != usual:
            raise UserError(f"--data.{option} {value} is of unlabelled text, and none is read; leave it out")


@dataclass(frozen=True)
class TextRows(Dataset[TextBatch]):
    """Rows of (task name, example) of which something is left to chance, fetched a batch at a time.

    Attributes:
        rows: of all tasks.
        texts: names of the tasks that are unlabelled text.
        seed: of the windows and of what is done to each.
        objective: how a window of text becomes an input and a target.
        window: words of a window; a shorter document is one.
        references: of the other tasks: whether training predicts their first one, or one that is drawn.
    """

    rows: list[tuple[str, Example]]
    texts: Collection[str]
    seed: int
    objective: DenoisingObjective = "prefix-lm"
    window: int = WINDOW
    references: ReferenceChoice = "first"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, placed: list[tuple[int, int]]) -> TextBatch:
        """The rows of some (row number, place in the stream); at another place, a row is made anew by chance."""
        return collate(self.row(number, place) for number, place in placed)

    def row(self, number: int, place: int) -> tuple[str, Example]:
        """Task name and example of a row at a place."""
        name, example = self.rows[number]
        if name not in self.texts:
            return name, drawn(example, self.seed, place) if self.references == "drawn" else example
        return self.cut(number, place, self.objective)

    def cut(self, number: int, place: int, objective: DenoisingObjective) -> tuple[str, Example]:
        """What an objective makes of a window of a document."""
        name, example = self.rows[number]
        rng = StableRandom("unlabelled", self.seed, place)
        words = words_of(example.targets[0])
        first = rng.below(max(1, len(words) - self.window + 1))
        source, target = OBJECTIVES[objective](words[first : first + self.window], rng)
        return name, Example(source, (target,))
