"""A prompt on disk: a folder PEFT can load, plus ``mpt.json`` with where it came from.

``adapter_config.json`` and ``adapter_model.safetensors`` are PEFT's prompt-tuning format; ``mpt.json`` adds
the backbone's fingerprint, task, method, seed, step, scores. Nothing is pickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from mpt.util.errors import UserError
from mpt.util.files import links_below, new_folder, refuse_links, write_json, write_text
from mpt.util.places import expanded
from mpt.util.reading import open_file, read_json

if TYPE_CHECKING:
    from torch import Tensor

TENSOR = "prompt_embeddings"
CARD = "README.md"
_TENSORS, _CONFIG, _FACTS = "adapter_model.safetensors", "adapter_config.json", "mpt.json"
_BY_TORCH = ("BF16",)
"""Types of numbers that NumPy does not know."""
_FLOATS = ("F32", "F16", "F64", *_BY_TORCH)
_NUMBERS = ("num_layers", "num_attention_heads")


@dataclass(frozen=True)
class StoredPrompt:
    """What a prompt folder holds.

    Attributes:
        weight: ``[P, H]``.
        backbone: name of the model it was learned on, as given then.
        facts: the content of ``mpt.json``; empty for a folder that PEFT wrote.
    """

    weight: Tensor
    backbone: str
    facts: dict[str, Any] = field(default_factory=dict)


def save_prompt(
    folder: Path | str,
    weight: Tensor,
    backbone: str,
    decoder_only: bool,
    facts: dict[str, Any],
    card: Callable[[dict[str, Any], dict[str, Any]], str] | None = None,
) -> Path:
    """Write a prompt folder; an existing one is replaced in one step, so a reader never sees half of it.

    Args:
        folder: where; its parents are made.
        weight: ``[P, H]``.
        backbone: name for PEFT's ``base_model_name_or_path``.
        decoder_only: PEFT's task type follows from it.
        facts: what ``mpt.json`` should hold besides lengths; of these, PEFT's configuration has those of
            :func:`backbone_facts`.
        card: makes the text of a ``README.md`` from the contents of ``adapter_config.json`` and ``mpt.json``.
    """
    from safetensors.torch import save_file

    folder = expanded(folder)
    length, width = weight.shape
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM" if decoder_only else "SEQ_2_SEQ_LM",
        "base_model_name_or_path": backbone,
        "num_virtual_tokens": length,
        "token_dim": width,
        # PEFT wants [2P, H] for encoder-decoder models otherwise, and uses the first half.
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
        "revision": facts.get("revision"),
        **{name: facts[name] for name in _NUMBERS if name in facts},
    }
    with new_folder(folder) as fresh:
        save_file({TENSOR: weight.detach().cpu().contiguous()}, fresh / _TENSORS)
        write_json(fresh / _CONFIG, config)
        facts = {"prompt_length": length, "hidden_size": width, "backbone": backbone, **facts}
        write_json(fresh / _FACTS, facts)
        if card is not None:
            write_text(fresh / CARD, card(config, facts))
    return folder


def backbone_facts(config: Any) -> dict[str, Any]:
    """What a prompt's folder says of its backbone, from the model's configuration.

    Returns:
        ``num_layers``, ``num_attention_heads``: which a soft prompt has no use for, but without which PEFT refuses
        to load one wherever its own search of the configuration finds none (XGLM, MPT, Mamba, ProphetNet, T5Gemma, …).
        ``revision``: the commit of a hub model; not of a local one.
    """
    text = config.get_text_config()
    layers, heads = (
        next((value for part in (config, text) if isinstance(value := getattr(part, name, None), int)), 1)
        for name in ("num_hidden_layers", "num_attention_heads")
    )
    facts: dict[str, Any] = dict(zip(_NUMBERS, (layers, heads), strict=True))
    if (revision := getattr(config, "_commit_hash", None) or _commit(config)) is not None:
        facts["revision"] = revision
    return facts


def _commit(config: Any) -> str | None:
    """Of a model that was read from the hub's cache without asking the hub: its folder is named after the commit."""
    folder = Path(getattr(config, "name_or_path", None) or "")
    return folder.name if folder.parent.name == "snapshots" else None


def is_prompt(folder: Path) -> bool:
    """Whether a folder holds a prompt, not a fine-tuned model or nothing."""
    return (folder / _TENSORS).is_file()


def load_prompt(folder: Path | str) -> StoredPrompt:
    """Read a prompt folder, ours or PEFT's.

    Raises:
        UserError: if it is not a prompt-tuning folder, or its files contradict one another.
    """
    import torch

    weight, backbone, facts = read_prompt(folder)
    return StoredPrompt(torch.from_numpy(weight), backbone, facts)


def read_prompt(folder: Path | str) -> tuple[npt.NDArray[np.float32], str, dict[str, Any]]:
    """What :func:`load_prompt` reads, without torch, which takes over a second to import.

    Returns:
        weight ``[P, H]``, backbone and facts, see :class:`StoredPrompt`.

    Raises:
        UserError: see :func:`load_prompt`.
    """
    folder = expanded(folder)
    if not folder.is_dir():
        raise UserError(f"prompt {folder}: no such folder")
    refuse_links(folder, links_below(folder), f"prompt {folder}")
    config = _read_json(folder, _CONFIG)
    kind = config.get("peft_type")
    if kind != "PROMPT_TUNING":
        raise UserError(f"prompt {folder}: {_CONFIG} says peft_type {kind}, but only PROMPT_TUNING is a soft prompt")
    said: list[Any] = [config.get(name) for name in ("num_virtual_tokens", "token_dim")]
    if not all(type(size) is int and size > 0 for size in said):
        raise UserError(
            f"prompt {folder}: {_CONFIG} says {said} of num_virtual_tokens and token_dim; whole numbers above 0 were "
            "expected"
        )
    try:
        weight = _read_tensor(folder / _TENSORS, said)
    except FileNotFoundError:
        raise UserError(f"prompt {folder}: {_TENSORS} is missing") from None
    except OSError as error:
        raise UserError(f"prompt {folder}: {_TENSORS} cannot be read: {error.strerror}") from error
    except SafetensorError as error:
        raise UserError(f"prompt {folder}: {_TENSORS} is not a readable safetensors file ({error})") from error
    except ValueError as error:
        raise UserError(f"prompt {folder}: {_TENSORS} holds {error}") from None
    facts = _read_json(folder, _FACTS) if os.path.lexists(folder / _FACTS) else {}
    return weight, str(config.get("base_model_name_or_path") or ""), facts


def _read_tensor(path: Path, said: list[int]) -> npt.NDArray[np.float32]:
    """The prompt in a safetensors file; ValueError, with what it holds in its place, if it is not of the shape said.

    Nothing of a tensor is read before its type and shape are known to be those of a prompt.
    """
    with open_file(path), safe_open(path, framework="np") as tensors:
        if TENSOR not in (names := list(tensors.keys())):
            raise ValueError(f"{sorted(names)[:5]}, not {TENSOR}")
        held = tensors.get_slice(TENSOR)
        shape, kind = list(held.get_shape()), held.get_dtype()
        if kind not in _FLOATS:
            raise ValueError(f"numbers of type {kind}; a prompt's are real, of type {', '.join(_FLOATS)}")
        # PEFT's own encoder-decoder folders: the second half is never read.
        if shape not in (said, [2 * said[0], said[1]]):
            raise ValueError(f"{shape} but {_CONFIG} says {said}")
        if kind in _BY_TORCH:
            with safe_open(path, framework="pt") as known:
                weight: npt.NDArray[np.float32] = known.get_tensor(TENSOR).float().numpy()
        else:
            with np.errstate(over="ignore"):
                weight = tensors.get_tensor(TENSOR).astype(np.float32)
    weight = weight[: said[0]]
    if not np.isfinite(weight).all():
        raise ValueError("numbers that are not finite; learn it anew")
    return weight


def check_fits(stored: StoredPrompt, where: Path | str, hidden_size: int, backbone: str, fingerprint: str) -> None:
    """Refuse a prompt that was learned on another model.

    A fingerprint in ``mpt.json`` decides; without one (a folder PEFT wrote) the last part of the model's name
    does.

    Raises:
        UserError: with both sides, if the width or the model differ.
    """
    if stored.weight.shape[1] != hidden_size:
        raise UserError(
            f"prompt {where} has hidden size {stored.weight.shape[1]} "
            f"(learned on {stored.backbone or 'an unnamed model'}), "
            f"but backbone {backbone} has hidden size {hidden_size}"
        )
    known = stored.facts.get("fingerprint")
    if known is not None and known != fingerprint:
        raise UserError(
            f"prompt {where} was learned on {stored.backbone} (weights {known}), "
            f"but backbone {backbone} has other weights "
            f"({fingerprint}); those in 8 or 4 bits (quantization) are others too"
        )
    if known is None and stored.backbone and Path(stored.backbone).name != Path(backbone).name:
        raise UserError(
            f"prompt {where} was learned on {stored.backbone}, but the backbone is {backbone}; "
            "if they are one model, "
            f"name it so in {_CONFIG} (base_model_name_or_path)"
        )


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_json(folder / name, "copy the prompt's folder anew")
    except UserError as error:
        raise UserError(f"prompt {error}") from error
