"""A study that retrieves, on the toy tasks: four source tasks, two of which a library made by hand knows twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from support.changes import changed
from support.toy_study import PROMPT, RATES, STUDY, write_study

from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe

P, H = 3, 32

DOWN = {"config": "prompt_tuning", "overrides": PROMPT}
LEARNED = {**PROMPT, "data.seeds": [13, 21]}

RETRIEVING: dict[str, Any] = {
    **STUDY,
    "methods": {
        "PT": changed(STUDY, {RATES: []})["methods"]["PT"],
        "Top2": {"retrieve": {"use": "best", "top_k": 2}, "downstream": DOWN},
        "Average2": {"retrieve": {"use": "average", "top_k": 2, "by": "average_token"}, "downstream": DOWN},
        "Random1": {"retrieve": {"top_k": 1, "order": "random", "from": "library"}, "downstream": DOWN},
        "Mixture": {
            "retrieve": {"use": "mixture", "top_k": 2},
            "upstream": {"config": "spot", "overrides": LEARNED},
            "downstream": DOWN,
        },
        "MAML-lowest": {
            "retrieve": {"top_k": 1, "order": "lowest", "by": "subspace"},
            "upstream": {"config": "maml", "seed": 13, "overrides": LEARNED},
            "downstream": DOWN,
        },
    },
}


def write_library(folder: Path, fingerprint: str, backbone: Path | str, tasks: tuple[str, ...]) -> Library:
    """A library of random prompts, one of each task, or one of each time that a task is named."""
    library = Library.create(folder, KeyRecipe(str(backbone), P, key_steps=4, learning_rate=0.3, batch_size=4, seed=5))
    for number, task in enumerate(tasks):
        rng = torch.Generator().manual_seed(number)
        key, value = (torch.randn(P, H, generator=rng) for _ in range(2))
        facts = {"fingerprint": fingerprint, "task": task, "seed": number, "dev_score": 0.5}
        library.add(f"{task}-{number}", key, value, facts, decoder_only=False)
    return library


def write_retrieving(folder: Path, backbone: Path | str, study: Mapping[str, Any] = RETRIEVING) -> Path:
    """The study's file; its library is to be in ``<folder>/library``, but where the study says so itself."""
    return write_study(folder, backbone, {"library": str(folder / "library"), **study})
