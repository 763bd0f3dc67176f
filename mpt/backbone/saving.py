"""A backbone as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpt.util.files import new_folder


def save_backbone(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write a model and its tokenizer as a Hugging Face folder, in one step."""
    with new_folder(folder) as fresh:
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
