"""How a backbone decodes its answers: greedily or with beams, and whatever a checkpoint's own settings say."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig

from mpt.errors import UserError
from mpt.loading import BackboneOptions


def generation_config(model: Any, tokenizer: Any, options: BackboneOptions, pad_id: int) -> GenerationConfig:
    """Everything that decides an answer, so that nothing is left to the checkpoint but its family's format.

    Args:
        pad_id: what fills rows that have ended.

    Raises:
        UserError: an encoder-decoder says nowhere what its answers start with.
    """
    own = model.generation_config
    return GenerationConfig(
        num_beams=options.num_beams,
        early_stopping=options.early_stopping,
        repetition_penalty=options.repetition_penalty,
        do_sample=False,
        use_cache=True,
        max_new_tokens=options.max_target_length,
        min_length=0,
        no_repeat_ngram_size=0,
        pad_token_id=pad_id,
        eos_token_id=_ends(own.eos_token_id, tokenizer.eos_token_id),
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=_start(model) if model.config.is_encoder_decoder else None,
        # The first and last tokens that all answers of a family have (BART, mBART, M2M100).
        forced_bos_token_id=_said(model, "forced_bos_token_id"),
        forced_eos_token_id=_said(model, "forced_eos_token_id"),
    )


def _said(model: Any, name: str) -> Any:
    said = (getattr(config, name, None) for config in (model.generation_config, model.config))
    return next((value for value in said if value is not None), None)


def _start(model: Any) -> int:
    if (start := _said(model, "decoder_start_token_id")) is not None:
        return start
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        # The token that training starts with, where a configuration names none (T5Gemma).
        return int(model.prepare_decoder_input_ids_from_labels(labels=torch.zeros(1, 1, dtype=torch.long)))
    raise UserError(
        f"backbone {model.config.name_or_path}: its configuration has no decoder_start_token_id, so that no answer "
        "could start; add it to config.json"
    )


def _ends(own: int | list[int] | None, tokenizers: int | None) -> list[int]:
    """Tokens that end an answer: targets end with the tokenizer's, which a checkpoint's generation need not know."""
    ends = [own] if isinstance(own, int) else list(own or [])
    return ends if tokenizers is None or tokenizers in ends else [*ends, tokenizers]
