"""A task's labels in the words of another task whose labels mean the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mpt.data.tasks.task import Example, FewShot
from mpt.util.errors import UserError


def in_other_words(draw: FewShot, words: Mapping[str, str]) -> FewShot:
    """A draw whose outputs are those words.

    Args:
        words: by label of the task; a label that is not named stays.

    Raises:
        UserError: a word that is no label of the task; two labels would be one.
    """
    labels = draw.task.labels
    if unknown := [label for label in words if label not in labels]:
        known = f"its labels are {', '.join(labels)}" if labels else "it has no labels"
        raise UserError(f"--data.labels_as: {unknown[0]} is no label of {draw.task.name}; {known}")
    said = tuple(words.get(label, label) for label in labels)
    if twice := [word for word in said if said.count(word) > 1]:
        raise UserError(f"--data.labels_as makes two labels of {draw.task.name} one, {twice[0]}")

    def read(examples: Iterable[Example]) -> list[Example]:
        return [replace(one, targets=tuple(words.get(text, text) for text in one.targets)) for one in examples]

    task = replace(draw.task, labels=said)
    return replace(draw, task=task, train=read(draw.train), dev=read(draw.dev), test=read(draw.test))
