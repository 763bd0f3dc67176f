"""A translator: a frozen model that answers a text by the same in another language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from mpt.backbone.device import device_of
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError


@dataclass(frozen=True)
class Translator:
    """Texts to texts by a translation model, or by one that is told to translate; loaded when it is first asked.

    For the baselines TRANS-TRAIN and TRANS-TEST of Vu et al. (2022).

    Args:
        model: hub name or local folder, such as ``Helsinki-NLP/opus-mt-en-vi``.
        ask: stands before each text, such as ``"translate English to German: "`` for T5.
        chat: whether a text is a user's turn of a chat.
        batch_size: texts at a time.
        longest: tokens of a text, and of its translation; fewer where the model has no positions for as many.
        device: ``cpu``, ``cuda`` or ``cuda:N``; a GPU if there is one.
    """

    model: str
    ask: str = ""
    chat: bool = False
    batch_size: int = 16
    longest: int = 512
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "longest"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"a translator's {name} must be at least 1, not {value}")

    @cached_property
    def _backbone(self) -> FrozenBackbone:
        options = BackboneOptions(
            max_input_length=self.longest, max_target_length=self.longest, chat_template=self.chat
        )
        backbone = FrozenBackbone(self.model, options).to(device_of(self.device))
        if (limit := backbone.position_limit) is not None:
            most = min(self.longest, limit // 2 if backbone.decoder_only else limit)
            backbone.encode.max_input_length = backbone.encode.max_target_length = most
            backbone.generation.max_new_tokens = most
        return backbone

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The translations, in order; what is empty stays so.

        Raises:
            UserError: there is no such model.
        """
        backbone, said = self._backbone, dict[str, str]()
        # Of like length, so that little is read for nothing.
        left = sorted({text for text in texts if text.strip()}, key=len)
        device = next(backbone.parameters()).device
        for start in range(0, len(left), self.batch_size):
            part = left[start : start + self.batch_size]
            batch = backbone.encode([self.ask + text for text in part]).to(device)
            with torch.inference_mode():
                said |= zip(part, backbone.answer(None, batch).texts, strict=True)
        return [said.get(text, "") for text in texts]
