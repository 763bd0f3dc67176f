"""Answers as a model's own ``generate`` gives them."""

from __future__ import annotations

from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import Backbone


def by_transformers(backbone: Backbone, prompt: Tensor | None, batch: Batch) -> list[str]:
    """All rows to the length limit, without :func:`mpt.backbone.greedy.greedy`."""
    ids = backbone._generated(backbone._rows(prompt, batch))
    return backbone.encode.decode(ids if backbone.decoder_only else ids[:, 1:])
