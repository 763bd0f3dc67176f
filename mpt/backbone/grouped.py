"""Rows with prompts of their own through a frozen backbone, in groups that the device has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from mpt.backbone.encoding import IGNORED, Batch
from mpt.backbone.grouping import CPU_TOKENS, select
from mpt.backbone.model import FrozenBackbone

OwnedPrompts = Tensor | Sequence[Tensor]
"""N prompts that rows have by number: ``[N, P, H]``, or N of ``[P, H]`` whose lengths may differ."""


class GroupedRows:
    """What a backbone says to any number of rows, each of which has one of N prompts.

    Args:
        backbone: on the device to work on. Where its options leave attention open, this chooses.
        autocast: type of the arithmetic, where it is not that of the weights.
        tokens: most tokens of one pass through the backbone (its padding and prompts count); chosen by the device
            if not given, and lowered where that has no room.
    """

    def __init__(
        self, backbone: FrozenBackbone, autocast: torch.dtype | None = None, tokens: int | None = None
    ) -> None:
        self.backbone, self.autocast, self.tokens = backbone, autocast, tokens
        self.device = next(backbone.model.parameters()).device
        if self.device.type == "cpu":
            self.tokens = tokens or CPU_TOKENS * torch.get_num_threads()
            if backbone.options.attention is None and backbone.one_sequence is None:
                # In groups as small as these the plain products are faster than the fused kernel (mpt-tiny: by 8 %).
                backbone.model.set_attn_implementation("eager")

    @torch.no_grad()
    def likelihoods(self, prompts: OwnedPrompts, batch: Batch, owners: Tensor, options: Sequence[list[str]]) -> Tensor:
        """Log-likelihoods of n answers to each row in evaluation mode, ``[B, n]``.

        Args:
            prompts, owners: see :meth:`mpt.backbone.model.Backbone.loss`.
            batch: B rows.
            options: n answers to each.
        """
        found = prompts[0].new_zeros(len(batch), len(options[0]))

        def weigh(rows: Tensor) -> None:
            with self.arithmetic():
                part = select(batch, rows, self.backbone.decoder_only)
                found[rows] = self.backbone.score(prompts, part, [options[row] for row in rows.tolist()], owners[rows])

        kinds = {tuple(labels): labels for labels in options}.values()
        more = max(int((self.backbone.encode.labels(labels) != IGNORED).sum()) for labels in kinds)
        self.by_groups(batch, prompts, owners, weigh, more)
        return found

    @torch.no_grad()
    def written(self, prompts: OwnedPrompts, batch: Batch, owners: Tensor) -> tuple[list[str], Tensor]:
        """What the model writes in evaluation mode as the answer to each of B rows, and the losses of the targets,
        ``[B]``; zeros where there are none.

        Args:
            prompts, owners: see :meth:`mpt.backbone.model.Backbone.loss`.
            batch: B rows.
        """
        said = [""] * len(batch)
        summed = prompts[0].new_zeros(len(batch))

        def answer(rows: Tensor) -> None:
            part = select(batch, rows, self.backbone.decoder_only)
            with self.arithmetic():
                given = self.backbone.answer(prompts, part, owners[rows])
            if given.losses is not None:
                summed[rows] = given.losses
            for row, text in zip(rows.tolist(), given.texts, strict=True):
                said[row] = text

        self.by_groups(batch, prompts, owners, answer, self.backbone.options.max_target_length)
        return said, summed

    def by_groups(
        self,
        batch: Batch,
        prompts: OwnedPrompts,
        owners: Tensor,
        work: Callable[[Tensor], None],
        more: int = 0,
    ) -> None:
        """Do some work with the numbers of each group's rows.

        Args:
            more: tokens that are written after a row's input.
        """
        todo = self.backbone.groups(prompts, batch, owners, more, self.tokens)
        while todo:
            rows = todo.pop(0)
            try:
                work(rows.to(self.device))
                continue
            except torch.cuda.OutOfMemoryError:
                if len(rows) == 1:
                    raise
            # Outside of the handler, whose exception holds on to the tensors.
            torch.cuda.empty_cache()
            half = len(rows) // 2
            todo[:0] = [rows[:half], rows[half:]]
            width = int(batch.input_mask[rows.to(self.device)].sum(1).max()) + max(map(len, prompts))
            self.tokens = min(self.tokens or (half + 1) * width, (half + 1) * width)

    def arithmetic(self) -> AbstractContextManager[Any]:
        """In the type that is asked for."""
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)
