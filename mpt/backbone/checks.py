"""What a backbone must be, lest it answers with random numbers, never ends, or overflows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from mpt.util.errors import UserError


def model_class(config: Any, name: str) -> Any:
    """The transformers auto class for an encoder-decoder or a decoder-only configuration."""
    if config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM
    # BERT and its kin can be wrapped as language models, but attend to both sides and cannot write.
    kind, writes = type(config), getattr(config, "is_decoder", False)
    encoder_only = kind in AutoModelForMaskedLM._model_mapping and not writes
    if kind in AutoModelForCausalLM._model_mapping and not encoder_only:
        return AutoModelForCausalLM
    raise UserError(
        f"backbone {name}: {config.model_type} generates no text; give an encoder-decoder or a decoder-only model"
    )


def refuse_unsafe_dtype(model_type: str, precision: str) -> None:
    """T5's feed-forward activations overflow float16 and the loss becomes NaN."""
    if precision.removeprefix("float").startswith("16") and "t5" in model_type:
        raise UserError(
            f"{precision} on a T5 model ({model_type}) overflows to NaN (T5 was trained in bfloat16); "
            "use bfloat16 weights, trainer.precision bf16-mixed, or float32"
        )


def refuse_missing(weights: Iterable[str], name: str) -> None:
    """transformers draws at random what a checkpoint lacks."""
    if names := sorted(weights):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UserError(
            f"backbone {name}: its checkpoint has no {', '.join(names[:3])}{more}, so they would be random numbers; "
            "give a checkpoint of the whole language model, head and all"
        )


def check_tokenizer(tokenizer: Any, model: Any, name: str) -> None:
    """Refuse a tokenizer without words or without an end that its model knows."""
    # Where tokenizer files are missing, transformers silently makes one that knows special tokens only.
    if len(tokenizer) - len(set(tokenizer.all_special_ids)) < 2:
        raise UserError(f"backbone {name} has no tokenizer files (such as tokenizer.json or spiece.model)")
    end, rows = tokenizer.eos_token_id, model.get_input_embeddings().weight.shape[0]
    if not model.config.is_encoder_decoder and end is None:
        raise UserError(f"backbone {name}: its tokenizer has no end-of-sequence token, so no answer would end")
    if end is not None and end >= rows:
        raise UserError(
            f"backbone {name}: its tokenizer's end of sequence {tokenizer.eos_token!r} is token {end}, beyond the "
            f"{rows} that the model knows, so no answer would end; give it the tokenizer that it was trained with"
        )
