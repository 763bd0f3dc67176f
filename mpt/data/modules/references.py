"""Which of an example's references training predicts: the first, or, as in CrossFit's loaders, one that is drawn."""

from __future__ import annotations

from typing import Literal

from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.stable_random import StableRandom

ReferenceChoice = Literal["first", "drawn"]


def check_references(references: str) -> None:
    """Complain, by the option's name, of a word that is neither."""
    if references not in ("first", "drawn"):
        raise UserError(f"--data.references is first or drawn, not {references!r}.")


def drawn(example: Example, *place: object) -> Example:
    """The example with one of its references in the first place, each as likely as the others.

    Args:
        place: what the choice is a function of: the seed, and where in the run the example comes.
    """
    targets = tuple(target for target in example.targets if target.strip())
    if len(targets) < 2:
        return Example(example.input, targets or example.targets)
    chosen = StableRandom("reference", *place).below(len(targets))
    return Example(example.input, (targets[chosen], *targets[:chosen], *targets[chosen + 1 :]))
