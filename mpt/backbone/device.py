"""Where to work: on which device, with how many threads."""

from __future__ import annotations

import os
import platform
import re

import torch

from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError

_SMALL = 64 << 20
"""Bytes of weights up to which one thread is as fast as several."""


def device_of(name: str | None) -> torch.device:
    """The device to work on: the one named, else a GPU, else the CPU.

    Raises:
        UserError: it is not there.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match = re.fullmatch(r"cpu|cuda(?::(\d{1,3}))?", name)
    if match is None:
        raise UserError(f"--device {name}: cpu or cuda is meant, or cuda:N for one of several GPUs")
    if name != "cpu" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: there is no GPU here that torch can use")
    if int(match[1] or 0) >= (count := torch.cuda.device_count() if name != "cpu" else 1):
        raise UserError(f"--device {name}: the GPUs here are cuda:0 to cuda:{count - 1}")
    return torch.device(name)


def device_words(device: torch.device) -> str:
    """The device in a sentence: ``this CPU (2 threads)``, ``NVIDIA H200 (cuda:0)``."""
    if device.type != "cpu":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    threads = torch.get_num_threads()
    return f"this CPU ({threads} thread{'s' if threads > 1 else ''})"


def few_threads(backbone: FrozenBackbone) -> None:
    """One thread for a backbone of a few megabytes, where nothing else was asked for.

    Several would wait for one another more than they work: on a machine that others use as well, many times so.
    """
    weights = sum(weight.numel() * weight.element_size() for weight in backbone.model.parameters())
    if weights < _SMALL and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


PRECISIONS = ("32", "bf16-mixed")
"""What a command computes in, as Lightning names it."""


def arithmetic_of(precision: str, device: torch.device) -> torch.dtype | None:
    """What a precision as Lightning names it multiplies matrices in on a device; None if in the type of the weights.

    A CPU without instructions for bfloat16 would take five times as long for it as for float32, and round more: there
    bf16-mixed is float32.
    """
    return torch.bfloat16 if precision == "bf16-mixed" and has_bfloat16(device) else None


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 by instructions of its own; a GPU is taken to."""
    if device.type != "cpu":
        return True
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    # Of an x86, oneDNN says so of any with AVX-512, where it makes do with float32's instructions.
    return any(getattr(torch.cpu, f"_is_{kind}_supported", lambda: True)() for kind in ("avx512_bf16", "amx_tile"))
