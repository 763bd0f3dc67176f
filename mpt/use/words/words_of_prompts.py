"""Prompts, their starts and random directions by their nearest tokens: what ``mpt prompt words`` compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mpt.backbone.vocabulary import Vocabulary
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.prompt.files import StoredPrompt, load_prompt
from mpt.use.words.start import start_of
from mpt.use.words.words import COSINE, TOP, Neighbours, Words
from mpt.util.errors import UserError

LEARNED, START, CHANCE = "learned", "start", "random directions"


@dataclass(frozen=True)
class SaidByPrompt:
    """One prompt in words.

    Attributes:
        name: of its folder.
        task: that it was learned on, if its facts say.
        init: class of its initialiser, likewise.
        labels: the task's label words.
        near: nearest tokens by what they are of: :data:`LEARNED`; :data:`START`, where that is known; :data:`CHANCE`.
        moved: Euclidean distance of each row from its start, ``[P]``; None where that is not known.
    """

    name: str
    task: str
    init: str
    labels: tuple[str, ...]
    near: dict[str, Neighbours]
    moved: Tensor | None

    def numbers(self, of: str) -> dict[str, float]:
        """What is counted of the learned rows, the start or random directions; NaN where there is nothing.

        Of the label words it is, by chance, the share to be expected among as many random directions as there are rows.
        """
        found = self.near[of]
        shares: list[float] = [label in found.found for label in self.labels]
        if of == CHANCE:
            rows, count = len(self.near[LEARNED].labels), len(found.labels)
            shares = [1 - (1 - sum(label in own for own in found.labels) / count) ** rows for label in self.labels]
        return {
            "nearest": float(found.values[:, 0].mean()),
            "alike": float(found.alike.mean()),
            "forms": found.with_forms,
            "rows_with_label": found.with_label if self.labels else math.nan,
            "labels_found": sum(shares) / len(shares) if shares else math.nan,
            "moved": float(self.moved.mean()) if self.moved is not None and of == LEARNED else math.nan,
        }


NUMBERS = ("nearest", "alike", "forms", "rows_with_label", "labels_found", "moved")


class PromptReader:
    """Reads prompts by the words of their backbones, each of which is read once.

    Args:
        by, top: see :class:`mpt.use.words.words.Words`.
        backbone: name of the model, if it is not the one that a prompt's folder names.
    """

    def __init__(self, by: str = COSINE, top: int = TOP, backbone: str | None = None) -> None:
        self.by, self.top, self.backbone = by, top, backbone
        self._words: dict[tuple[str, str | None, str], Words] = {}

    def read(self, folder: Path, start: Path | None = None, labels: Sequence[str] = ()) -> SaidByPrompt:
        """A prompt in words.

        Args:
            start: the prompt that it was learned from; otherwise what its run's folder tells of that.
            labels: the task's label words; otherwise those that its facts, the synthetic suite or the catalogue know.

        Raises:
            UserError: a folder is no prompt, or not of the backbone's width; the start has another shape.
        """
        stored = load_prompt(folder)
        words = self._words_of(folder, stored)
        task = str(stored.facts.get("task") or "")
        own = tuple(stored.facts.get("labels") or ()) or _labels(task)
        known = tuple(labels) or own
        begun = None if start is None else load_prompt(start).weight
        if begun is not None and begun.shape != stored.weight.shape:
            raise UserError(
                f"the start {start} is {list(begun.shape)} and the prompt {folder} {list(stored.weight.shape)}; a "
                "prompt has the shape of its start"
            )
        if start is None:
            begun = start_of(folder, stored, words.vocabulary, own or known)
        near = {LEARNED: words.near(stored.weight, known)}
        if begun is not None:
            near[START] = words.near(begun, known)
        near[CHANCE] = words.near_random(stored.weight, known)
        moved = None if begun is None else (stored.weight - begun).norm(dim=1)
        init = stored.facts.get("init") or stored.facts.get("start")
        return SaidByPrompt(str(folder), task, str(init or ""), known, near, moved)

    def _words_of(self, folder: Path, stored: StoredPrompt) -> Words:
        name = self.backbone or stored.backbone
        if not name:
            raise UserError(f"prompt {folder} names no backbone; name it by --backbone")
        revision = stored.facts.get("revision") if self.backbone is None else None
        asked = (name, revision, str(stored.facts.get("fingerprint") or ""))
        if asked not in self._words:
            self._words[asked] = Words(Vocabulary.load(*asked), self.by, self.top)
        words = self._words[asked]
        width = words.table.shape[1]
        if stored.weight.shape[1] != width:
            raise UserError(
                f"prompt {folder} has hidden size {stored.weight.shape[1]} (learned on "
                f"{stored.backbone or 'an unnamed model'}), but backbone {name} has hidden size {width}"
            )
        return words


def _labels(task: str) -> tuple[str, ...]:
    entry = synthetic_tasks().get(task) or catalogue().get(task)
    return () if entry is None else tuple(entry.labels)


def groups(prompts: Sequence[SaidByPrompt]) -> list[tuple[str, str, list[SaidByPrompt]]]:
    """Initialiser and what is looked at, with the prompts that have it; random directions come last."""
    found: list[tuple[str, str, list[SaidByPrompt]]] = []
    for init in dict.fromkeys(prompt.init for prompt in prompts):
        own = [prompt for prompt in prompts if prompt.init == init]
        found += [(init, of, there) for of in (START, LEARNED) if (there := [one for one in own if of in one.near])]
    return [*found, ("", CHANCE, list(prompts))]


def average(prompts: Sequence[SaidByPrompt], of: str, number: str) -> tuple[float, float]:
    """Mean and sample deviation over prompts; NaN where there are too few."""
    found = torch.tensor([prompt.numbers(of)[number] for prompt in prompts], dtype=torch.float64)
    found = found[~found.isnan()]
    mean = float(found.mean()) if len(found) else math.nan
    return mean, float(found.std()) if len(found) > 1 else math.nan
