"""Rows of one batch through a frozen backbone, each with its own prompt, in groups that the device has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.grouped import GroupedRows
from mpt.backbone.grouping import select
from mpt.data.modules.batch import TextBatch, join
from mpt.learn.answering import candidates, likeliest
from mpt.util.random_state import seed_generators


@dataclass(frozen=True)
class Judged:
    """A prompt's answers to B examples, and the losses of their targets.

    Attributes:
        texts: its B answers.
        losses: of the targets, summed over their tokens, ``[B]``; zeros if they were not asked for.
        tokens: of each target, ``[B]``; zeros likewise.
    """

    texts: list[str]
    losses: Tensor
    tokens: Tensor


class RowsWithPrompts(GroupedRows):
    """Gradients and answers of R prompts, each on its own examples, as rows of one batch.

    Args:
        backbone, autocast, tokens: see :class:`mpt.backbone.grouped.GroupedRows`.
    """

    def gradients(self, prompts: Tensor, texts: Sequence[TextBatch], seed: int) -> tuple[Tensor, Tensor]:
        """Mean loss per target token of each prompt on its examples, ``[R]``, and its gradients, ``[R, P, H]``.

        Args:
            prompts: ``[R, P, H]``.
            texts: R batches.
            seed: of the model's dropout.
        """
        batch, owners, sizes = self._joined(texts, targets=True)
        tokens = torch.stack([part.sum() for part in batch.target_lengths.split(sizes)])
        self.backbone.train()
        seed_generators(seed, self.device)
        # Where each row reads its prompt for itself: a gradient per row, summed by prompt in the rows' own order, so by
        # no sum that a device makes in any order it likes.
        once = self.backbone.one_sequence is not None
        starts = prompts if once else prompts[owners]
        gradients = torch.zeros_like(starts)
        losses = prompts.new_zeros(len(batch))

        def learn(rows: Tensor) -> None:
            read, within = owners[rows].unique(return_inverse=True) if once else (rows, None)
            leaf = starts[read].requires_grad_()
            with self.arithmetic():
                loss = self.backbone.loss(leaf, select(batch, rows, self.backbone.decoder_only), within)
            (loss / tokens[owners[rows]]).sum().backward()
            assert leaf.grad is not None
            gradients[read] += leaf.grad
            losses[rows] = loss.detach()

        self.by_groups(batch, prompts, owners, learn)
        means = [loss.sum() / count for loss, count in zip(losses.split(sizes), tokens, strict=True)]
        if not once:
            gradients = torch.stack([part.sum(0) for part in gradients.split(sizes)])
        return torch.stack(means), gradients

    @torch.no_grad()
    def answers(
        self,
        prompts: Tensor,
        texts: Sequence[TextBatch],
        losses: bool = False,
        labels: Sequence[Sequence[str]] | None = None,
    ) -> list[Judged]:
        """Each prompt's answers to its own examples.

        Args:
            prompts: ``[R, P, H]``.
            texts: R batches.
            losses: whether those are asked for too.
            labels: what may be answered to each of the R: the likeliest is the answer, by the likelihood of a label's
                tokens and its end, by no length (what tuning maximises). Where there are none, what the model writes.
        """
        self.backbone.eval()
        kinds: dict[tuple[str, ...], list[int]] = {}
        for number in range(len(texts)):
            kinds.setdefault(tuple(labels[number]) if labels else (), []).append(number)
        found: dict[int, Judged] = {}
        for own, numbers in kinds.items():
            theirs = torch.stack([prompts[number] for number in numbers])
            judged = self._judged(theirs, [texts[number] for number in numbers], losses, list(own))
            found |= dict(zip(numbers, judged, strict=True))
        return [found[number] for number in range(len(texts))]

    def _judged(self, prompts: Tensor, texts: Sequence[TextBatch], losses: bool, labels: list[str]) -> list[Judged]:
        batch, owners, sizes = self._joined(texts, targets=losses)
        if labels:
            targets = join(texts).targets if losses else []
            weighed = candidates(labels, targets)
            likelihoods = self.likelihoods(prompts, batch, owners, [weighed] * len(batch))
            said, summed = likeliest(likelihoods, weighed, len(labels), targets)
        else:
            said, summed = self.written(prompts, batch, owners)
        counts = batch.target_lengths if losses else torch.zeros(len(batch))
        ordered = iter(said)
        return [
            Judged([next(ordered) for _ in range(len(loss))], loss, count)
            for loss, count in zip(summed.split(sizes), counts.split(sizes), strict=True)
        ]

    def _joined(self, texts: Sequence[TextBatch], targets: bool) -> tuple[Batch, Tensor, list[int]]:
        """All rows as one batch, the number of each one's prompt ``[B]``, and the rows of each prompt."""
        text, sizes = join(texts), [len(part) for part in texts]
        batch = self.backbone.encode(text.inputs, text.targets if targets else None).to(self.device)
        return batch, torch.arange(len(texts)).repeat_interleave(torch.tensor(sizes)).to(self.device), sizes


def mean_over_batches(judged: Judged, size: int) -> float:
    """The dev loss as Lightning logs it: the mean per token of each batch of ``size``, averaged over rows."""
    parts = zip(judged.losses.split(size), judged.tokens.split(size), strict=True)
    return sum(float(loss.sum() / count.sum()) * len(loss) for loss, count in parts) / len(judged.losses)
