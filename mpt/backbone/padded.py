"""The rows of a batch side by side for a decoder-only model: each reads its prompt, and short ones are padded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpt.backbone.encoding import IGNORED
from mpt.backbone.rows import Rows, Weighed


class PaddedRows:
    """A decoder-only model that reads ``[padding; prompt; input; answer]`` in each row.

    Padding stands before the prompt, so that no layer, windowed or recurrent, sees it between two tokens of a row.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.table = model.get_input_embeddings()

    def losses(self, rows: Rows, answers: Weighed) -> Tensor:
        """Negative log-likelihood of each answer, ``[B * n]``."""
        return answers.losses(lambda labels: self.logits(rows, labels))

    def embeds(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """``[padding; prompt; input]``: ``[B, P + T, H]``, and its mask ``[B, P + T]``."""
        return rows.embeds(self.table, pad_left=True)

    def logits(self, rows: Rows, labels: Tensor) -> Tensor:
        """Next-token logits for each label position, ``[B, U, V]``."""
        embeds, mask = self.embeds(rows)
        answer_embeds = self.table(labels.clamp(min=0)).to(embeds.dtype)
        mask = torch.cat([mask, (labels != IGNORED).to(mask.dtype)], dim=1)
        out = self.model(
            inputs_embeds=torch.cat([embeds, answer_embeds], dim=1),
            attention_mask=mask,
            # Counting tokens keeps positions as if there were no padding.
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
            # Only the positions that predict the answer need the vocabulary-sized product. As indices: a count of them
            # would give a view, whose product on a CPU takes many times as long in bfloat16.
            logits_to_keep=torch.arange(-labels.shape[1] - 1, 0, device=mask.device),
        )
        logits: Tensor = out.logits
        return logits[:, -labels.shape[1] - 1 : -1]  # a few families give all positions, whatever is asked
