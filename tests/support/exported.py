"""Prompts of unlike lengths and limits for a small model, and the client that an export holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.prompt.files import load_prompt, save_prompt

LIMITS = {"one": (1, 512, 3, "[one] "), "seven": (7, 12, 9, ""), "twenty": (20, 512, 6, "[more] ")}
"""Of each prompt: P, max_input_length, max_target_length, input_prefix."""
TEXTS = ("hello", "", "a text of more than twelve tokens", "xé☃ so", "b")


def prompts_of(backbone: FrozenBackbone, folder: Path, spread: float = 2.0, **facts: Any) -> list[Path]:
    """A prompt folder for each of the limits."""
    generator = torch.Generator().manual_seed(1)
    for name, (length, longest, written, prefix) in LIMITS.items():
        weight = torch.randn(length, backbone.hidden_size, generator=generator) * spread
        known: dict[str, Any] = {
            "fingerprint": backbone.fingerprint,
            "max_input_length": longest,
            "max_target_length": written,
        }
        known |= {"input_prefix": prefix} if prefix else {}
        save_prompt(folder / name, weight, backbone.name, backbone.decoder_only, {**known, **facts})
    return [folder / name for name in LIMITS]


def answered(folder: Path, *texts: str) -> list[str]:
    """What mpt answers to texts by one prompt of :func:`prompts_of`, each alone."""
    stored = load_prompt(folder)
    chats = stored.facts.get("chat_template", False)
    _, longest, written, prefix = LIMITS[folder.name]
    options = BackboneOptions(max_input_length=longest, max_target_length=written, chat_template=chats)
    alone = FrozenBackbone(stored.backbone, options)
    return [alone.answer(stored.weight, alone.encode([prefix + text])).texts[0] for text in texts]


def client(folder: Path) -> Any:
    """The module that an export holds, as it lies there."""
    spec = spec_from_file_location(f"client_of_{folder.name}", folder / "client.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.pop(spec.name, None)
    spec.loader.exec_module(module)
    return module


def requests_of(prompts: Sequence[Path]) -> list[tuple[str, str, str]]:
    """Names of prompts, texts, and what mpt answers; neighbours are for different prompts."""
    alone = [answered(folder, *TEXTS) for folder in prompts]
    return [
        (folder.name, text, answers[place])
        for place, text in enumerate(TEXTS)
        for folder, answers in zip(prompts, alone, strict=True)
    ]
