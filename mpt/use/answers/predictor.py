"""Answers of learned prompts to texts: each text behind a prompt of its own, in one batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mpt.backbone.encoding import IGNORED, Batch
from mpt.backbone.grouped import GroupedRows
from mpt.backbone.model import FrozenBackbone
from mpt.use.answers.calibration import Calibration
from mpt.util.errors import UserError

_AT_ONCE = {"cpu": 256, "cuda": 2048}
"""Texts that are read before they are grouped by length."""


@dataclass(frozen=True)
class UsedPrompt:
    """A prompt at work.

    Attributes:
        name: by which rows ask for it.
        weight: ``[P, H]``.
        labels: of which the likeliest is the answer; what the model writes is, if there are none.
        known_labels: of its task, also where what the model writes is the answer.
        task: that it was learned on; empty if that is not known.
        metric: of that task.
        prefix: what stands before every input, as it did when the prompt was learned.
        calibration: of the labels' probabilities.
    """

    name: str
    weight: Tensor
    labels: tuple[str, ...] = ()
    known_labels: tuple[str, ...] = ()
    task: str = ""
    metric: str | None = None
    prefix: str = ""
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True)
class Answer:
    """What a prompt answers to a text.

    Attributes:
        text: the answer.
        probability: of the answer among the labels; None where the model wrote it.
        probabilities: of each label.
    """

    text: str
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)


class Predictor:
    """Prompts of one backbone, each text behind the one that it asks for; their lengths and labels may differ.

    An answer does not depend on what else is in its batch. Among labels the likeliest is the answer, by the summed
    log-likelihood of its tokens and its end, which is what tuning raises; ``per_token`` takes the mean instead, which
    favours long labels. A probability is the softmax of that over the labels.

    Args:
        backbone: on the device to work on.
        prompts: at least one.
        per_token: see above.
        autocast: see :class:`mpt.backbone.grouped.GroupedRows`.

    Attributes:
        prompts: as given.
    """

    def __init__(
        self,
        backbone: FrozenBackbone,
        prompts: Sequence[UsedPrompt],
        per_token: bool = False,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.backbone, self.prompts, self.per_token = backbone, list(prompts), per_token
        self.rows = GroupedRows(backbone, autocast)
        self._weights = [prompt.weight.detach().float().to(self.rows.device) for prompt in prompts]

    def __call__(self, texts: Sequence[str], prompts: Sequence[int] | None = None) -> list[Answer]:
        """The B answers to B texts.

        Args:
            texts: inputs as the prompts' tasks have them.
            prompts: number of each text's prompt; the first if not given.

        Raises:
            UserError: a number that no prompt has, or not one for each text.
        """
        owners = [0] * len(texts) if prompts is None else list(prompts)
        if len(owners) != len(texts) or not set(owners) <= set(range(len(self.prompts))):
            raise UserError(
                f"prompts must have a number from 0 to {len(self.prompts) - 1} for each of the {len(texts)} texts"
            )
        found: dict[int, Answer] = {}
        for rows in self._parts(owners):
            part, numbers = [texts[row] for row in rows], [owners[row] for row in rows]
            if self.prompts[numbers[0]].labels:
                for row, number, own in zip(rows, numbers, self._scores(part, numbers), strict=True):
                    prompt = self.prompts[number]
                    found[row] = self._likeliest(prompt.labels, prompt.calibration.probabilities(own))
            else:
                said, _ = self.rows.written(self._weights, *self._read(part, numbers))
                found |= {row: Answer(text) for row, text in zip(rows, said, strict=True)}
        return [found[row] for row in range(len(texts))]

    def scores(self, texts: Sequence[str], prompt: int = 0) -> Tensor:
        """What the labels' probabilities are made of, before any calibration: ``[B, n]``, float64 on the CPU.

        Args:
            texts: B of them.
            prompt: number of the one that reads them.
        """
        owners = [prompt] * len(texts)
        parts = [self._scores([texts[row] for row in rows], [prompt] * len(rows)) for rows in self._parts(owners)]
        return torch.cat(parts) if parts else torch.zeros(0, len(self.prompts[prompt].labels), dtype=torch.float64)

    def _parts(self, owners: Sequence[int]) -> list[list[int]]:
        """Rows that are read together: those that have equally many labels."""
        alike: dict[int, list[int]] = defaultdict(list)
        for row, owner in enumerate(owners):
            alike[len(self.prompts[owner].labels)].append(row)
        size = _AT_ONCE[self.rows.device.type]
        return [rows[first : first + size] for rows in alike.values() for first in range(0, len(rows), size)]

    def _read(self, texts: list[str], owners: list[int]) -> tuple[Batch, Tensor]:
        read = [self.prompts[owner].prefix + text for text, owner in zip(texts, owners, strict=True)]
        batch = self.backbone.encode(read).to(self.rows.device)
        return batch, torch.tensor(owners, device=self.rows.device)

    def _scores(self, texts: list[str], owners: list[int]) -> Tensor:
        batch, numbers = self._read(texts, owners)
        labels = [list(self.prompts[owner].labels) for owner in owners]
        scores = self.rows.likelihoods(self._weights, batch, numbers, labels).double().cpu()
        if self.per_token:
            tokens = {tuple(each): (self.backbone.encode.labels(each) != IGNORED).sum(1) for each in labels}
            scores = scores / torch.stack([tokens[tuple(each)] for each in labels])
        return scores

    @staticmethod
    def _likeliest(labels: Sequence[str], probabilities: Tensor) -> Answer:
        shares = dict(zip(labels, probabilities.tolist(), strict=True))
        best = max(shares, key=shares.__getitem__)  # the first of equals
        return Answer(best, shares[best], shares)
