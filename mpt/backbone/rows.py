"""Rows of a batch with their prompts, and the answers to them that are weighed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mpt.backbone.encoding import IGNORED, Batch

Prompts = Tensor | Sequence[Tensor] | None
"""``[P, H]``, ``[N, P, H]``, N of ``[P, H]`` whose lengths differ, or none at all."""


@dataclass(frozen=True)
class Rows:
    """B inputs, each behind one of N prompts.

    Attributes:
        prompts: ``[N, P, H]``; one of no tokens where there is none.
        owners: number of each row's prompt, ``[B]``; None where each is that of the next B / N rows.
        batch: what else is read.
        sizes: tokens of each prompt, ``[N]``, the rest of the P being padding; None where all have P.
    """

    prompts: Tensor
    owners: Tensor | None
    batch: Batch
    sizes: Tensor | None = None

    @classmethod
    def of(cls, prompt: Prompts, owners: Tensor | None, batch: Batch, table: Any) -> Rows:
        """From the arguments of :meth:`mpt.backbone.model.Backbone.loss`.

        Args:
            table: the model's input embeddings.

        Raises:
            ValueError: the prompt has a shape that does not fit.
        """
        weight, rows = table.weight, len(batch)
        if prompt is None:
            return cls(weight.new_zeros(1, 0, weight.shape[1]), None, batch)
        if owners is not None and len(prompt) > 1 and not (isinstance(prompt, Tensor) and prompt.dim() == 2):
            used, owners = owners.unique(return_inverse=True)  # what no row has need not be read
            if len(used) < len(prompt):
                prompt = prompt[used] if isinstance(prompt, Tensor) else [prompt[number] for number in used.tolist()]
        if not isinstance(prompt, Tensor):
            sizes = [len(each) for each in prompt]
            padded = cls.of(pad_sequence(list(prompt), batch_first=True), owners, batch, table)
            return padded if len(set(sizes)) == 1 else replace(padded, sizes=torch.tensor(sizes, device=weight.device))
        prompts = prompt[None] if prompt.dim() == 2 else prompt
        shared_out = owners is not None or rows % max(1, len(prompts)) == 0
        if prompts.dim() != 3 or prompts.shape[-1] != weight.shape[1] or not shared_out:
            width = weight.shape[1]
            raise ValueError(
                f"prompt has shape {list(prompt.shape)}; this batch and backbone need [P, {width}] or "
                f"[{rows}, P, {width}] (or fewer, each for equally many rows)"
            )
        return cls(prompts, owners, batch)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def prompt_length(self) -> int:
        """P."""
        return self.prompts.shape[1]

    @property
    def lengths(self) -> Tensor:
        """Tokens of each row's prompt and input, ``[B]``."""
        read = self.batch.input_mask.sum(1)
        return read + (self.prompt_length if self.sizes is None else self.sizes[self.each])

    @property
    def each(self) -> Tensor:
        """Number of each row's prompt, ``[B]``."""
        if self.owners is not None:
            return self.owners
        return torch.arange(len(self), device=self.batch.input_ids.device) * len(self.prompts) // max(1, len(self))

    def behind_common_prefix(self, table: Any) -> Rows:
        """The same rows, in which what all inputs begin with, such as the head of a chat template, ends every prompt.

        Where a prompt is read once for its rows, that is then read once too. Inputs are padded on their left.
        """
        ids, mask = self.batch.input_ids, self.batch.input_mask
        if self.sizes is not None or len(self) <= len(self.prompts):
            return self
        lengths = mask.sum(1)
        starts = mask.shape[1] - lengths[:, None]
        columns = torch.arange(int(lengths.min()), device=ids.device)
        first = ids.gather(1, starts + columns)
        common = int((first == first[:1]).all(0).cumprod(0).sum())
        if not common:
            return self
        prefix = table(first[0, :common]).to(self.prompts.dtype).expand(len(self.prompts), -1, -1)
        rest = mask * (torch.arange(mask.shape[1], device=ids.device) >= starts + common)
        return replace(self, prompts=torch.cat([self.prompts, prefix], dim=1), batch=Batch(ids, rest))

    def select(self, numbers: list[int]) -> Rows:
        """Some rows, with the prompts that they need."""
        rows = torch.tensor(numbers, device=self.batch.input_ids.device)
        batch = Batch(self.batch.input_ids[rows], self.batch.input_mask[rows])
        if len(self.prompts) == 1:
            return replace(self, owners=None, batch=batch)
        used, owners = self.each[rows].unique(return_inverse=True)
        return Rows(self.prompts[used], owners, batch, None if self.sizes is None else self.sizes[used])

    def embeds(self, table: Any, pad_left: bool) -> tuple[Tensor, Tensor]:
        """Prompt and input of each row, ``[B, P + T, H]``, and their mask, ``[B, P + T]``.

        Args:
            pad_left: whether a row's padding stands before its prompt, or behind its input, as its inputs are padded.
        """
        read, mask = table(self.batch.input_ids), self.batch.input_mask
        prompts = self.prompts.to(read.dtype)
        if self.owners is not None:
            prompts = prompts[self.owners]
        elif len(prompts) == 1:
            prompts = prompts.expand(len(self), -1, -1)
        elif len(prompts) != len(self):
            prompts = prompts.repeat_interleave(len(self) // len(prompts), 0)
        known = mask.new_ones(prompts.shape[:2])
        if self.sizes is not None:
            known = (known.cumsum(1) <= self.sizes[self.each][:, None]).to(mask.dtype)
        embeds, mask = torch.cat([prompts, read], dim=1), torch.cat([known, mask], dim=1)
        if not pad_left and self.sizes is None:  # it stands there already
            return embeds, mask
        order = mask.argsort(dim=1, descending=not pad_left, stable=True)
        return embeds.take_along_dim(order[:, :, None], 1), mask.take_along_dim(order, 1)


@dataclass(frozen=True)
class Weighed:
    """Answers that are weighed: n to each of B rows.

    Attributes:
        labels: ``[B * n, U]``, a row's behind one another, padded with :data:`IGNORED`.
        number: n.
    """

    labels: Tensor
    number: int = 1

    @property
    def rows(self) -> Tensor:
        """The row that each answers, ``[B * n]``."""
        return torch.arange(len(self.labels), device=self.labels.device) // self.number

    def select(self, rows: list[int]) -> Weighed:
        """Those to some rows."""
        labels = self.labels.view(-1, self.number, self.labels.shape[1])
        return Weighed(labels[torch.tensor(rows, device=labels.device)].flatten(0, 1), self.number)

    def losses(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """Negative log-likelihood of each, ``[B * n]``.

        Args:
            logits: of one label sequence for each row, from ``[B, U]`` to ``[B, U, V]``.
        """
        columns = self.labels.view(-1, self.number, self.labels.shape[1]).unbind(1)
        return torch.stack([row_nll(logits(labels), labels) for labels in columns], dim=1).flatten()

    def nll(self, logits: Tensor) -> Tensor:
        """Negative log-likelihood of each, from its tokens' logits ``[…, V]`` in order: ``[B * n]``."""
        known = self.labels != IGNORED
        losses = F.cross_entropy(logits.float(), self.labels[known], reduction="none")
        return losses.new_zeros(self.labels.shape).masked_scatter(known, losses).sum(1)


def row_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of labels ``[B, U]`` from logits ``[B, U, V]``: ``[B]``."""
    flat = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view(labels.shape).sum(1)
