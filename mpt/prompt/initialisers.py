"""Where a prompt starts: small callables that compose.

Each maps a :class:`InitContext` (the backbone's embeddings and tokenizer) and a length P to a
matrix ``[P, H]``. Lester et al. (2021) compare uniform, sampled-vocabulary and class-label starts; SPoT (Vu
et al. 2022) starts from another task's prompt.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mpt.prompt.files import StoredPrompt, check_fits, load_prompt
from mpt.prompt.parts import load_parts
from mpt.util.errors import UserError


class HasVocabulary(Protocol):
    """The parts of a :class:`mpt.backbone.model.FrozenBackbone` that a start is made of."""

    name: str
    tokenizer: Any

    @property
    def embeddings(self) -> Tensor: ...

    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class InitContext:
    """What an initialiser may look at.

    Attributes:
        embeddings: input embeddings, ``[V, H]``.
        tokenize: text to token ids, without special tokens.
        special_ids: ids that are no words (padding, end of sequence, sentinels).
        labels: label words of the task, if it has any.
        backbone: name of the model.
        fingerprint: digest of its weights.
        generator: source of randomness, so that a seed gives the same prompt.
        tasks: names of the tasks that are learned on.
        demonstrations: train examples, input and output.
    """

    embeddings: Tensor
    tokenize: Callable[[str], list[int]]
    special_ids: frozenset[int]
    labels: tuple[str, ...]
    backbone: str
    fingerprint: str
    generator: torch.Generator
    tasks: tuple[str, ...] = ()
    demonstrations: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(
        cls,
        backbone: HasVocabulary,
        seed: int,
        labels: tuple[str, ...] = (),
        tasks: tuple[str, ...] = (),
        demonstrations: Sequence[tuple[str, str]] = (),
    ) -> InitContext:
        """Of a backbone; the same seed gives the same prompt."""
        tokenizer = backbone.tokenizer
        return cls(
            embeddings=backbone.embeddings,
            tokenize=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
            special_ids=frozenset(tokenizer.all_special_ids),
            labels=labels,
            backbone=backbone.name,
            fingerprint=backbone.fingerprint,
            generator=torch.Generator().manual_seed(seed),
            tasks=tasks,
            demonstrations=demonstrations,
        )


class Initialiser(ABC):
    """Base of all initialisers."""

    @abstractmethod
    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        """A starting value, ``[length, H]``."""


class Uniform(Initialiser):
    """Uniform in [-bound, bound] (Lester et al. 2021: 0.5).

    Args:
        bound: half the width of the interval.
        seed: another start for each seed of the run, drawn by both; the run's seed alone decides if not given.
    """

    def __init__(self, bound: float = 0.5, seed: int | None = None) -> None:
        self.bound = bound
        self.seed = _checked(seed)

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        width = vocabulary.embeddings.shape[1]
        return (torch.rand(length, width, generator=_generator(vocabulary, self.seed)) * 2 - 1) * self.bound


class SampledVocabulary(Initialiser):
    """Embeddings of tokens drawn from the most common ones, without repetition while there are enough.

    Subword vocabularies are ordered by frequency, so the most common tokens are those with the lowest ids.

    Args:
        most_common: how many to draw from (Lester et al. 2021: 5,000).
        seed: another start for each seed of the run, drawn by both; the run's seed alone decides if not given.
    """

    def __init__(self, most_common: int = 5000, seed: int | None = None) -> None:
        if most_common < 1:
            raise UserError(f"most_common must be at least 1, not {most_common}")
        self.most_common = most_common
        self.seed = _checked(seed)

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        words = [i for i in range(len(vocabulary.embeddings)) if i not in vocabulary.special_ids]
        common = torch.tensor(words[: self.most_common])
        rounds = -(-length // len(common))
        rng = _generator(vocabulary, self.seed)
        drawn = torch.cat([torch.randperm(len(common), generator=rng) for _ in range(rounds)])
        return _rows(vocabulary, common[drawn[:length]].tolist())


class ClassLabels(Initialiser):
    """One row per label word (the mean of its tokens' embeddings), the rest from ``backoff``.

    Args:
        labels: label words; the task's own if not given.
        backoff: initialiser of the rows that are left (SPoT, appendix C: sampled vocabulary).
    """

    def __init__(self, labels: list[str] | None = None, backoff: Initialiser | None = None) -> None:
        self.labels = labels
        self.backoff = backoff or SampledVocabulary()

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        labels = tuple(self.labels or vocabulary.labels)
        if not labels:
            raise UserError("init ClassLabels: the task has no labels; give labels, or use SampledVocabulary")
        return _means(labels, length, vocabulary, self.backoff)


class TaskNames(Initialiser):
    """One row per task that is learned on (the mean of its name's tokens' embeddings), the rest from ``backoff``.

    So the scripts of Qin et al. (2023) start every prompt. ``_`` and ``-`` part the words of a name.

    Args:
        backoff: initialiser of the rows that are left.
    """

    def __init__(self, backoff: Initialiser | None = None) -> None:
        self.backoff = backoff or SampledVocabulary()

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        if not vocabulary.tasks:
            raise UserError("init TaskNames: the data name no task; use SampledVocabulary")
        names = [re.sub("[_-]", " ", name) for name in vocabulary.tasks]
        return _means(names, length, vocabulary, self.backoff)


class FromText(Initialiser):
    """The embeddings of a text's tokens, the rest from ``backoff``.

    Args:
        text: for example an instruction; by task's name where runs of several tasks have the same options.
        backoff: initialiser of the rows that are left.
    """

    def __init__(self, text: str | dict[str, str], backoff: Initialiser | None = None) -> None:
        self.text = text
        self.backoff = backoff or SampledVocabulary()

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        text = self._of(vocabulary.tasks)
        ids = vocabulary.tokenize(text)
        if not ids:
            raise UserError(f"init FromText: the text {text!r} has no tokens")
        return _fill(_rows(vocabulary, ids), length, vocabulary, self.backoff)

    def _of(self, tasks: Sequence[str]) -> str:
        if isinstance(self.text, str):
            return self.text
        if len(tasks) != 1 or tasks[0] not in self.text:
            wanted = tasks[0] if len(tasks) == 1 else "several tasks together"
            raise UserError(f"init FromText: there is no text for {wanted}, but for {', '.join(self.text)}")
        return self.text[tasks[0]]


class Demonstrations(Initialiser):
    """The embeddings of train examples, output behind input: with ``trainer.max_steps 0``, k-shot in-context learning.

    They are taken in a drawn order, from each label in turn, until there are ``shots`` or no other fits. The prompt has
    only the rows that they need, at most ``prompt_length``.

    Args:
        shots: how many.
        seed: another draw for each seed of the run, drawn by both; the run's seed alone decides if not given.
    """

    def __init__(self, shots: int = 16, seed: int | None = None) -> None:
        if shots < 1:
            raise UserError(f"init Demonstrations: shots must be at least 1, not {shots}")
        self.shots = shots
        self.seed = _checked(seed)

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        examples = vocabulary.demonstrations
        if not examples:
            raise UserError("init Demonstrations: the data have no train examples of one task")
        drawn = torch.randperm(len(examples), generator=_generator(vocabulary, self.seed)).tolist()
        seen: Counter[str] = Counter()
        turns: list[tuple[int, int, int]] = []
        for number in drawn:
            output = examples[number][1]
            turns.append((seen[output], len(turns), number))
            seen[output] += 1
        taken: list[list[int]] = []
        for _, _, number in sorted(turns):
            ids = vocabulary.tokenize("{} {}\n\n".format(*examples[number]))
            if len(taken) < self.shots and sum(map(len, taken)) + len(ids) <= length:
                taken.append(ids)
        if not taken:
            raise UserError(f"init Demonstrations: none of the examples fits into prompt_length {length}; raise it")
        return _rows(vocabulary, [token for ids in taken for token in ids])


class SavedPrompt(Initialiser):
    """A prompt from a folder that mpt or PEFT wrote: the downstream stage of SPoT and of meta prompt tuning.

    Args:
        path: the prompt folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        stored = load_prompt(self.path)
        check_start(stored, self.path, length, vocabulary)
        return stored.weight


class Parts(Initialiser):
    """Some parts of a factorised prompt, joined, and behind them rows of another start.

    Args:
        path: folder of the prompt, which :class:`mpt.learn.FactorisedPromptTuning` wrote.
        names: of the parts, in their order: ``language/en``, ``task/span-corruption``.
        backoff: where the rest of the prompt's rows start.
    """

    def __init__(self, path: str, names: list[str], backoff: Initialiser | None = None) -> None:
        self.path, self.names, self.backoff = path, names, backoff or SampledVocabulary()

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        rows, stored = load_parts(self.path, self.names)
        check_fits(stored, self.path, vocabulary.embeddings.shape[1], vocabulary.backbone, vocabulary.fingerprint)
        if len(rows) > length:
            raise UserError(f"{', '.join(self.names)} of prompt {self.path} have {len(rows)} rows, more than {length}")
        rest = length - len(rows)
        return torch.cat([rows, self.backoff(rest, vocabulary)]) if rest else rows


def _checked(seed: int | None) -> int | None:
    if seed is not None and seed < 0:
        raise UserError(f"init: seed must be a whole number from 0 on, not {seed}")
    return seed


def _generator(vocabulary: InitContext, seed: int | None) -> torch.Generator:
    """What draws a start. One that had a seed of its own alone would be the same start in all runs of a study, whose
    effect nothing would average out.
    """
    if seed is None:
        return vocabulary.generator
    mixed = np.random.SeedSequence([vocabulary.generator.initial_seed(), seed]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0]))


def check_start(stored: StoredPrompt, where: str, length: int, vocabulary: InitContext) -> None:
    """That a prompt fits the model and the length that is asked for."""
    check_fits(stored, where, vocabulary.embeddings.shape[1], vocabulary.backbone, vocabulary.fingerprint)
    if len(stored.weight) != length:
        raise UserError(
            f"prompt {where} has length {len(stored.weight)}, but prompt_length is {length}; they must be equal"
        )


def _rows(vocabulary: InitContext, ids: Sequence[int]) -> Tensor:
    return vocabulary.embeddings[torch.tensor(ids, device=vocabulary.embeddings.device)].float().cpu()


def _means(texts: Sequence[str], length: int, vocabulary: InitContext, backoff: Initialiser) -> Tensor:
    """A row per text that has tokens, their mean, and then the backoff's."""
    ids = [vocabulary.tokenize(text) for text in texts]
    rows = [_rows(vocabulary, tokens).mean(0, keepdim=True) for tokens in ids if tokens]
    return _fill(torch.cat(rows) if rows else None, length, vocabulary, backoff)


def _fill(first: Tensor | None, length: int, vocabulary: InitContext, backoff: Initialiser) -> Tensor:
    have = 0 if first is None else min(len(first), length)
    if have == length and first is not None:
        return first[:length]
    rest = backoff(length - have, vocabulary)
    return rest if first is None else torch.cat([first, rest])
