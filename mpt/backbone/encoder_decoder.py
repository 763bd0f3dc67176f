"""The rows of a batch for an encoder-decoder: the encoder reads prompt and input, the decoder writes the answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpt.backbone.encoding import IGNORED
from mpt.backbone.greedy import Encoded
from mpt.backbone.rows import Rows, Weighed


class EncoderDecoder:
    """A model whose encoder reads ``[prompt; input; padding]``.

    Args:
        start: what its decoder reads first.
        pad: a token to pad with.
    """

    def __init__(self, model: Any, start: int, pad: int) -> None:
        self.model, self.start, self.pad = model, start, pad
        self.table = model.get_input_embeddings()

    def losses(self, rows: Rows, answers: Weighed, encoded: Encoded | None = None) -> Tensor:
        """Negative log-likelihood of each answer, ``[B * n]``; the input is read once for all of a row's."""
        if answers.number > 1 and encoded is None:
            encoded = self.encoded(rows)
        return answers.losses(lambda labels: self.logits(rows, labels, encoded))

    def embeds(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """``[prompt; input; padding]``: ``[B, P + T, H]``, and its mask ``[B, P + T]``."""
        return rows.embeds(self.table, pad_left=False)

    def encoded(self, rows: Rows) -> Encoded:
        """What the decoder looks at."""
        embeds, mask = self.embeds(rows)
        return Encoded(self.model.get_encoder()(inputs_embeds=embeds, attention_mask=mask), mask)

    def logits(self, rows: Rows, labels: Tensor, encoded: Encoded | None = None) -> Tensor:
        """Next-token logits for each label position, ``[B, U, V]``."""
        if encoded is not None:
            read = {"encoder_outputs": encoded.states, "attention_mask": encoded.mask}
        else:
            read = dict(zip(("inputs_embeds", "attention_mask"), self.embeds(rows), strict=True))
        logits: Tensor = self.model(**read, decoder_input_ids=self.shifted(labels), use_cache=False).logits
        return logits

    def shifted(self, labels: Tensor) -> Tensor:
        """What the decoder reads where it is to write ``labels``, both ``[B, U]``."""
        prepare = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        if prepare is not None:
            ids: Tensor = prepare(labels=labels)
            return ids
        start = labels.new_full((len(labels), 1), self.start)
        return torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, self.pad)], dim=1)
