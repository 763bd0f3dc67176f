"""Rows of one batch in groups of similar length, so that little is padded and a device is full but not over-full."""

from __future__ import annotations

import torch
from torch import Tensor

from mpt.backbone.encoding import Batch

CPU_TOKENS = 1536
"""Tokens (prompt, input and padding) of a group on a CPU: more of them leave its caches, fewer waste its calls.

Measured on mpt-tiny, 128 rows of 40 tokens on one core: 32 to 48 rows a group take 0.75 of the time of one group.
"""


def groups(batch: Batch, prompt_length: int, tokens: int | None) -> list[Tensor]:
    """Row numbers of each group, ``[G]``, from short inputs to long ones; every row is in one group.

    Args:
        batch: B rows.
        prompt_length: P, that every row has before its input.
        tokens: a group has at most so many, and at least one row; one group of all rows if not given.
    """
    lengths = batch.input_mask.sum(1).cpu()
    order = torch.argsort(lengths, stable=True)
    if tokens is None:
        return [order]
    widths = (lengths[order] + prompt_length).tolist()
    # Equal shares of the tokens: a last group of two rows would cost nearly as much as a full one.
    number = -(-sum(widths) // tokens)
    found: list[Tensor] = []
    first = spent = 0
    for place, width in enumerate(widths):
        share = sum(widths) * (len(found) + 1) / number
        if place > first and ((place + 1 - first) * width > tokens or spent + width / 2 > share):
            found.append(order[first:place])
            first = place
        spent += width
    return [*found, order[first:]]


def select(batch: Batch, rows: Tensor, pad_left: bool) -> Batch:
    """Some rows of a batch, without the padding that none of them needs.

    Args:
        batch: B rows.
        rows: their numbers, ``[G]``.
        pad_left: whether inputs are padded on the left.
    """
    rows = rows.to(batch.input_ids.device)
    mask = batch.input_mask[rows]
    width = int(mask.sum(1).max())
    kept = slice(mask.shape[1] - width, None) if pad_left else slice(0, width)
    labels = None
    if batch.labels is not None:
        labels = batch.labels[rows][:, : int(batch.target_lengths[rows].max())]
    return Batch(batch.input_ids[rows][:, kept], mask[:, kept], labels)
