"""Answers and losses of many rows at once: the input is read once for both, and a row that has ended costs no more."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.cache_utils import EncoderDecoderCache

from mpt.backbone.encoding import Batch
from mpt.backbone.model import Backbone


@torch.no_grad()
def answer(backbone: Backbone, prompt: Tensor, batch: Batch) -> tuple[list[str], Tensor | None]:
    """What ``backbone.generate`` and ``backbone.loss`` give, in less time where there are many rows.

    Among many rows one nearly always goes on to the length limit, and plain generation computes all of them until
    then. Here rows leave as they end. Encoder-decoders with greedy decoding only; others are generated plainly.

    Args:
        backbone: in evaluation mode.
        prompt: ``[P, H]`` or ``[B, P, H]``.
        batch: B rows.

    Returns:
        B texts, and the losses ``[B]`` if the batch has targets.
    """
    if backbone.decoder_only or not backbone.options.is_greedy:
        losses = None if batch.labels is None else backbone.loss(prompt, batch)
        return backbone.generate(prompt, batch), losses
    encoded = backbone.encoder_output(prompt, batch)
    losses = None if batch.labels is None else backbone.loss(prompt, batch, encoded)
    return backbone.encode.decode(_greedy(backbone, *encoded)), losses


def _greedy(backbone: Backbone, encoded: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Token ids ``[B, U]``, padded, of greedy decoding as :class:`transformers.GenerationMixin` does it."""
    settings, limit = backbone.generation, backbone.options.max_target_length
    ends = torch.as_tensor(settings.eos_token_id, device=mask.device).view(-1)
    found = torch.full((len(mask), limit), settings.pad_token_id, device=mask.device)
    rows = torch.arange(len(mask), device=mask.device)
    last = torch.full((len(mask), 1), settings.decoder_start_token_id, device=mask.device)
    cache = None
    for place in range(limit):
        out = backbone.model(
            encoder_outputs=encoded,
            attention_mask=mask,
            decoder_input_ids=last,
            past_key_values=cache,
            use_cache=True,
        )
        last = out.logits[:, -1:].float().argmax(-1)
        if place == 0 and settings.forced_bos_token_id is not None:
            last = torch.full_like(last, settings.forced_bos_token_id)
        if place == limit - 1 and settings.forced_eos_token_id is not None:
            last = torch.full_like(last, int(torch.as_tensor(settings.forced_eos_token_id).min()))
        found[rows, place] = last[:, 0]
        going = ~torch.isin(last[:, 0], ends)
        left = int(going.sum())
        if not left:
            return found[:, : place + 1]
        cache = out.past_key_values
        if left < len(rows) and isinstance(cache, EncoderDecoderCache):
            kept = going.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            encoded = type(encoded)(last_hidden_state=encoded["last_hidden_state"][kept])
            rows, mask, last = rows[kept], mask[kept], last[kept]
        elif left < len(rows):
            last = torch.where(going[:, None], last, settings.pad_token_id)
    return found
