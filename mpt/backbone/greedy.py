"""Greedy decoding of many rows at once, in which a row that has ended costs no more."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import GenerationConfig
from transformers.cache_utils import EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput


class Encoded(NamedTuple):
    """What an encoder-decoder's decoder looks at.

    Attributes:
        states: the encoder's, ``[B, P + T, H]``.
        mask: one where they count, ``[B, P + T]``.
    """

    states: BaseModelOutput
    mask: Tensor


@torch.no_grad()
def greedy(model: Any, settings: GenerationConfig, encoded: Encoded) -> Tensor:
    """Token ids ``[B, U]``, padded, as :class:`transformers.GenerationMixin` gives them but for the start token.

    Among many rows one nearly always goes on to the length limit, and plain generation computes all of them until then.
    Here rows leave as they end.

    Args:
        model: an encoder-decoder in evaluation mode.
        settings: as :func:`mpt.backbone.generation.generation_config` makes them, greedy and without a penalty.
        encoded: what it read.
    """
    states, mask = encoded
    limit = settings.max_new_tokens
    assert limit is not None
    ends = torch.as_tensor(settings.eos_token_id, device=mask.device).view(-1)
    found = torch.full((len(mask), limit), settings.pad_token_id, device=mask.device)
    rows = torch.arange(len(mask), device=mask.device)
    last = torch.full((len(mask), 1), settings.decoder_start_token_id, device=mask.device)
    cache = None
    for place in range(limit):
        out = model(
            encoder_outputs=states,
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
            states = type(states)(last_hidden_state=states["last_hidden_state"][kept])
            rows, mask, last = rows[kept], mask[kept], last[kept]
        elif left < len(rows):
            last = torch.where(going[:, None], last, settings.pad_token_id)
    return found
