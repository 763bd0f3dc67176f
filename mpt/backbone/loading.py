"""Where a backbone comes from: a hub name, a local folder, or the one that ships with the package."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import MethodType
from typing import Any, Literal

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedConfig,
)

from mpt.util.errors import UserError
from mpt.util.files import new_folder

ASSETS = Path(__file__).parents[1] / "assets"


def bundled_backbones() -> dict[str, Path]:
    """Name and folder of every backbone that ships with the package."""
    return {path.parent.name: path.parent for path in sorted(ASSETS.glob("*/config.json"))}


@dataclass(frozen=True)
class BackboneOptions:
    """How a backbone is loaded and how much it reads.

    Attributes:
        dtype: type of the weights. float16 is refused for T5, which overflows in it.
        attention: attention implementation (eager, sdpa, flash_attention_2); transformers' choice if null.
        gradient_checkpointing: trade time for memory in the backward pass.
        dropout: draw the model's own dropout in training; false computes there what evaluation does.
        max_input_length: tokens kept of an input (T); the prompt comes on top and is never cut.
        max_target_length: tokens kept of a target, and generated at most (U).
        chat_template: write an input as a user's turn and a target as the answer to it, by the tokenizer's chat
            template (decoder-only models); the prompt stands before it all.
        num_beams: 1 is greedy decoding.
        early_stopping: end a search with beams as soon as there are as many ended answers as beams.
        repetition_penalty: divides the positive scores of tokens that an answer holds already, and multiplies the
            negative ones (Keskar et al. 2019); 1 is none.
        revision: branch, tag or commit of a hub model.
    """

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
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

    def __post_init__(self) -> None:
        for name in ("max_input_length", "max_target_length", "num_beams"):
            if getattr(self, name) < 1:
                raise UserError(f"backbone option {name} must be at least 1, not {getattr(self, name)}")
        if self.early_stopping and self.num_beams == 1:
            raise UserError("backbone option early_stopping is for beams; set num_beams above 1 or leave it out")
        if not 0 < self.repetition_penalty < math.inf:
            raise UserError(f"backbone option repetition_penalty must be above 0, not {self.repetition_penalty}")


def resolve(name: str) -> str:
    """Folder of a bundled or local backbone, or the hub name unchanged.

    Raises:
        UserError: if the name looks like a path but there is no model there.
    """
    bundled = bundled_backbones()
    if name in bundled and not Path(name).is_dir():
        return str(bundled[name])
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"backbone {name}: the folder has no config.json, so it is not a Hugging Face model folder")
        return str(path)
    looks_like_path = name.startswith((".", "~", os.sep)) or name.count("/") > 1 or (os.sep != "/" and os.sep in name)
    if looks_like_path:
        raise UserError(f"backbone {name}: no such folder; give a Hugging Face model folder, a hub name or mpt-tiny")
    return name


def locate(name: str, revision: str | None) -> tuple[str, dict[str, str]]:
    """The folder or hub name that transformers reads a backbone from, and the options to read it with.

    Raises:
        UserError: it is nowhere.
    """
    source = resolve(name)
    if not Path(source).is_dir():
        source = _downloaded_or_reachable(name, revision)
    return source, {} if Path(source).is_dir() or not revision else {"revision": revision}


def load(name: str, options: BackboneOptions, random_weights: bool = False) -> tuple[Any, Any]:
    """The model and its tokenizer.

    Args:
        name: hub name, local folder, or a bundled name such as ``mpt-tiny``.
        options: how to load it.
        random_weights: take configuration and tokenizer only, for pre-training from scratch.

    Raises:
        UserError: if there is no such model, it is neither encoder-decoder nor decoder-only, or the type is
            unsafe for it.
    """
    source, common = locate(name, options.revision)
    try:
        config = AutoConfig.from_pretrained(source, **common)
        refuse_unsafe_dtype(config.model_type, options.dtype)
        if not options.dropout:
            leave_out_dropout(config)
        kind = model_class(config, name)
        extra = {"attn_implementation": options.attention} if options.attention else {}
        dtype = getattr(torch, options.dtype)
        if random_weights:
            model = kind.from_config(config, dtype=dtype, **extra)
        else:
            model, found = kind.from_pretrained(
                source, config=config, dtype=dtype, output_loading_info=True, **extra, **common
            )
            _refuse_missing(found["missing_keys"], name)
        tokenizer = AutoTokenizer.from_pretrained(source, **common)
        _check_tokenizer(tokenizer, model, name)
    except UserError:
        raise
    except Exception as error:  # three libraries read these files, each with exceptions of its own
        raise UserError(f"backbone {name} could not be loaded: {_first_sentence(error)}") from error
    if not config.is_encoder_decoder:
        _accept_embeddings(model)
    if options.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer


def save_backbone(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write a model and its tokenizer as a Hugging Face folder, in one step."""
    with new_folder(folder) as fresh:
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)


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


def refuse_unsafe_dtype(model_type: str, precision: str) -> None:
    """T5's feed-forward activations overflow float16 and the loss becomes NaN."""
    if precision.removeprefix("float").startswith("16") and "t5" in model_type:
        raise UserError(
            f"{precision} on a T5 model ({model_type}) overflows to NaN (T5 was trained in bfloat16); "
            "use bfloat16 weights, trainer.precision bf16-mixed, or float32"
        )


def _refuse_missing(weights: Iterable[str], name: str) -> None:
    """transformers draws at random what a checkpoint lacks."""
    if names := sorted(weights):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UserError(
            f"backbone {name}: its checkpoint has no {', '.join(names[:3])}{more}, so they would be random numbers; "
            "give a checkpoint of the whole language model, head and all"
        )


def _accept_embeddings(model: Any) -> None:
    """Let ``generate`` pass embeddings on where only the signature of a family's preparation hides that it does."""
    if "inputs_embeds" not in signature(model.prepare_inputs_for_generation).parameters:
        model.prepare_inputs_for_generation = MethodType(_prepare, model)


def _prepare(model: Any, input_ids: Any, inputs_embeds: Any = None, **kwargs: Any) -> Any:
    return type(model).prepare_inputs_for_generation(model, input_ids, inputs_embeds=inputs_embeds, **kwargs)


def _downloaded_or_reachable(name: str, revision: str | None) -> str:
    """The name, if the hub knows it; without a network, the folder that it was downloaded to before.

    One quick question, because transformers asks for each file of a model up to six times, for half a minute.
    """
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision), timeout=10)
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError, ValueError) as error:
        at = f" at revision {revision}" if revision else ""
        why = f"the Hugging Face hub has no such model{at} (wrong name, or private and you are not logged in)"
        raise UserError(_nowhere(name, why)) from error
    except Exception as error:
        config = try_to_load_from_cache(name, "config.json", revision=revision)
        if not isinstance(config, str):
            why = "it was not downloaded before and the Hugging Face hub cannot be reached"
            raise UserError(_nowhere(name, why)) from error
        return str(Path(config).parent)
    return name


def _nowhere(name: str, why: str) -> str:
    bundled = bundled_backbones()
    near = difflib.get_close_matches(name, bundled, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"backbone {name}: no local folder, not bundled ({', '.join(bundled) or 'none'}), and {why}{hint}"


def _check_tokenizer(tokenizer: Any, model: Any, name: str) -> None:
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


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
