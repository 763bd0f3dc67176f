"""How a backbone decodes its answers: greedily or with beams, and whatever a checkpoint's own settings say."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig

from mpt.backbone.encoding import Encoder
from mpt.backbone.loading import BackboneOptions
from mpt.util.errors import UserError, one_line


def generation_config(model: Any, encode: Encoder, options: BackboneOptions) -> GenerationConfig:
    """Everything that decides an answer, so that nothing is left to the checkpoint but its family's format.

    Raises:
        UserError: an encoder-decoder says nowhere what its answers start with.
    """
    own, decoder_only = model.generation_config, encode.decoder_only
    return GenerationConfig(
        num_beams=options.num_beams,
        early_stopping=options.early_stopping,
        repetition_penalty=options.repetition_penalty,
        do_sample=False,
        use_cache=True,
        max_new_tokens=options.max_target_length,
        min_length=0,
        no_repeat_ngram_size=0,
        pad_token_id=encode.pad_id,
        eos_token_id=_ends(own.eos_token_id, encode.tokenizer.eos_token_id, encode.end_id),
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=None if decoder_only else _start(model, encode),
        # The first and last tokens that all answers of a family have (BART, mBART, M2M100). Behind an input there is
        # no first place, and transformers would force a decoder-only model's second.
        forced_bos_token_id=None if decoder_only else _said(model, "forced_bos_token_id"),
        forced_eos_token_id=_said(model, "forced_eos_token_id"),
    )


def _said(model: Any, name: str) -> Any:
    said = (getattr(config, name, None) for config in (model.generation_config, model.config))
    return next((value for value in said if value is not None), None)


def _start(model: Any, encode: Encoder) -> int:
    if (start := _said(model, "decoder_start_token_id")) is not None:
        return int(start)
    try:
        # The token that training starts with, where a configuration names none (T5Gemma); mBART's is a target's last.
        target = torch.tensor(encode.target_ids(["x"]))
        return int(model.prepare_decoder_input_ids_from_labels(labels=target)[0, 0])
    except Exception as error:  # every family fails in its own way
        raise UserError(
            f"backbone {model.config.name_or_path}: no token is known that its answers start with ({one_line(error)}); "
            "set decoder_start_token_id in its config.json"
        ) from error


def _ends(own: int | list[int] | None, *others: int | None) -> list[int]:
    """Tokens that end an answer: what targets end with, which a checkpoint's generation need not know, is one too."""
    ends = [own] if isinstance(own, int) else list(own or [])
    return list(dict.fromkeys([*ends, *(token for token in others if token is not None)]))
