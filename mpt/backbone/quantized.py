"""Frozen weights in eight or four bits: a prompt is trained through what they stand for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from mpt.backbone.eight_bits import to_eight_bits
from mpt.util.distribution import install
from mpt.util.errors import UserError

_NEEDED = ("bitsandbytes", "accelerate")


def loading_options(quantization: str | None, dtype: torch.dtype) -> dict[str, Any]:
    """What transformers' ``from_pretrained`` is given for nf4; other weights are read as they are.

    The matrices of linear layers become 4-bit NormalFloats (Dettmers et al. 2023), a scale for each block of 64. They
    are multiplied out in ``dtype`` as they are used, so loss and gradient are those of the numbers that they stand for.

    Raises:
        UserError: a package that it takes is missing.
    """
    if quantization != "nf4":
        return {}
    if missing := [package for package in _NEEDED if find_spec(package) is None]:
        raise UserError(
            f"backbone_options.quantization {quantization} takes {' and '.join(missing)}, not installed here: "
            f"{install('quantization')}"
        )
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=quantization, bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": config}


def quantize_loaded(model: Any, quantization: str | None, name: str) -> None:
    """Put a model's weights in eight bits where int8 is asked for.

    No library does it soundly: bitsandbytes rounds the activations as well, which makes another gradient, and torchao's
    graphs keep the float32 matrix of each layer for the backward pass.

    Raises:
        UserError: the model has no layers for it.
    """
    if quantization == "int8":
        to_eight_bits(model, name)


def refuse_rounded(quantization: str | None, dtype: str, learner: str) -> None:
    """Refuse weights that are to be learned.

    Raises:
        UserError: they are quantised, or of a type in whose rounding most steps are lost.
    """
    if dtype != "float32":
        raise UserError(
            f"{learner} learns the backbone's weights, and most steps are less than what {dtype} rounds off; leave out "
            "backbone_options.dtype, and for arithmetic in bfloat16 set trainer.precision bf16-mixed"
        )
    if quantization is not None:
        raise UserError(
            f"{learner} learns the backbone's weights, and quantised ones cannot be learned; leave out "
            f"backbone_options.quantization {quantization}, or learn a prompt"
        )
