"""Loading a backbone: its model and its tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pickle import UnpicklingError
from types import MethodType
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from mpt.backbone.checks import check_tokenizer, model_class, refuse_missing, refuse_unsafe_dtype
from mpt.backbone.quantized import loading_options, quantize_loaded
from mpt.backbone.source import locate
from mpt.util.errors import UserError
from mpt.util.names import nearest


@dataclass(frozen=True)
class BackboneOptions:
    """How a backbone is loaded and how much it reads.

    Attributes:
        dtype: type of the weights. float16 is refused for T5, which overflows in it.
        quantization: int8 keeps the matrices of linear layers in eight bits, nf4 in four by bitsandbytes; for learning
            prompts.
        attention: attention implementation (eager, sdpa, flash_attention_2); if null transformers' choice, but
            eager where a CPU reads short rows as one sequence in bfloat16.
        gradient_checkpointing: trade time for memory in the backward pass.
        dropout: draw the model's own dropout in training; false computes there what evaluation does.
        max_input_length: tokens kept of an input (T); the prompt comes on top and is never cut.
        max_target_length: tokens kept of a target, and generated at most (U).
        chat_template: write an input as a user's turn and a target as the answer to it, by the tokenizer's chat
            template (decoder-only models); the prompt stands before it all.
        num_beams: 1 is greedy decoding.
        early_stopping: end a search with beams as soon as there are as many ended answers as beams.
        repetition_penalty: divides the positive scores of tokens that an answer holds already, and multiplies the
            negative ones (Keskar et al. 2019); 1 is none. As in transformers, what an encoder-decoder's
            answer begins with is one of them.
        revision: branch, tag or commit of a hub model or a hub's GGUF file.
    """

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    quantization: Literal["int8", "nf4"] | None = None
    attention: str | None = None
    gradient_checkpointing: bool = False
    dropout: bool = True
    max_input_length: int = 512
    max_target_length: int = 64
    chat_template: bool = False
    num_beams: int = 1
    early_stopping: bool = False
    repetition_penalty: float = 1.0
    revision: str | None = None

    @property
    def is_greedy(self) -> bool:
        """Whether an answer's next token is always the likeliest."""
        return self.num_beams == 1 and self.repetition_penalty == 1

    @property
    def remembered(self) -> dict[str, Any]:
        """What a prompt's folder says of them: by what its answers would be others."""
        kept = {name: getattr(self, name) for name in ("max_input_length", "max_target_length")}
        return kept | {name: value for name in ("chat_template", "quantization") if (value := getattr(self, name))}

    def __post_init__(self) -> None:
        for name in ("max_input_length", "max_target_length", "num_beams"):
            if getattr(self, name) < 1:
                raise UserError(f"backbone option {name} must be at least 1, not {getattr(self, name)}")
        if self.early_stopping and self.num_beams == 1:
            raise UserError("backbone option early_stopping is for beams; set num_beams above 1 or leave it out")
        if not 0 < self.repetition_penalty < math.inf:
            raise UserError(f"backbone option repetition_penalty must be above 0, not {self.repetition_penalty}")


def load(name: str, options: BackboneOptions, new: Mapping[str, int] | None = None) -> tuple[Any, Any]:
    """The model and its tokenizer.

    Args:
        name: see :func:`mpt.backbone.source.resolve`.
        options: how to load it.
        new: make random weights of these sizes (entries of the configuration, the others as it has them); only
            configuration and tokenizer are read then.

    Raises:
        UserError: if there is no such model, it is neither encoder-decoder nor decoder-only, or the type is
            unsafe for it, or its configuration has no such size.
    """
    source, common = locate(name, options.revision)
    try:
        config = AutoConfig.from_pretrained(source, **common)
        refuse_unsafe_dtype(config.model_type, options.dtype)
        if not options.dropout:
            leave_out_dropout(config)
        kind = model_class(config, name)
        extra: dict[str, Any] = {"attn_implementation": options.attention} if options.attention else {}
        dtype = getattr(torch, options.dtype)
        if new is not None:
            resize(config, new)
            model = kind.from_config(config, dtype=dtype, **extra)
        else:
            extra |= loading_options(options.quantization, dtype)
            model, found = kind.from_pretrained(
                source, config=config, dtype=dtype, output_loading_info=True, **extra, **common
            )
            refuse_missing(found["missing_keys"], name)
            quantize_loaded(model, options.quantization, name)
        tokenizer = AutoTokenizer.from_pretrained(source, **common)
        check_tokenizer(tokenizer, model, name)
    except UserError:
        raise
    except Exception as error:  # three libraries read these files, each with exceptions of its own
        raise UserError(f"backbone {name} could not be loaded: {_why(error)}") from error
    if not config.is_encoder_decoder:
        _accept_embeddings(model)
    if options.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer


def resize(config: Any, sizes: Mapping[str, int]) -> None:
    """Give entries of a configuration, as ``d_model``, other values.

    Raises:
        UserError: it has no whole number of that name, or the value is below 1.
    """
    whole = (name for name, value in config.to_dict().items() if type(value) is int)
    known = [name for name in whole if not name.endswith("_token_id")]
    for name, value in sizes.items():
        if name not in known:
            raise UserError(f"this backbone's configuration has no size {name!r}; {nearest(str(name), known)}")
        if type(value) is not int or value < 1:
            raise UserError(f"a backbone's {name} must be a whole number of at least 1, not {value}")
        setattr(config, name, value)
    if sizes and hasattr(config, "validate"):  # not in every transformers; it would else fail when the model is saved
        config.validate()


def leave_out_dropout(config: Any) -> None:
    """Set every rate of dropout in a configuration to zero, and the noise that experts are chosen with.

    A model made by it computes in training what it computes in evaluation. Evaluation mode alone would switch gradient
    checkpointing off as well.
    """
    for name, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            leave_out_dropout(value)
        elif type(value) in (int, float) and ("drop" in name or "jitter" in name):
            setattr(config, name, type(value)(0))


def _accept_embeddings(model: Any) -> None:
    """Let ``generate`` pass embeddings on where only the signature of a family's preparation hides that it does."""
    if "inputs_embeds" not in signature(model.prepare_inputs_for_generation).parameters:
        model.prepare_inputs_for_generation = MethodType(_prepare, model)


def _prepare(model: Any, input_ids: Any, inputs_embeds: Any = None, **kwargs: Any) -> Any:
    return type(model).prepare_inputs_for_generation(model, input_ids, inputs_embeds=inputs_embeds, **kwargs)


def _why(error: Exception) -> str:
    if isinstance(error, UnpicklingError):  # torch's own words tell how to run the code
        return "its .bin weights hold more than tensors, which could run code, or are damaged; give safetensors"
    told = " ".join(str(error).split())[:300]
    return told if " " in told else f"{type(error).__name__} {told}".rstrip()
