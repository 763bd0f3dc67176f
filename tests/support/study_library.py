"""A study that retrieves, on the toy tasks: four source tasks, two of which a library made by hand knows twice."""

from __future__ import annotations

from pathlib import Path

import torch
from support.toy_study import STUDY, write_study

from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe

P, H = 3, 32

METHODS = """
  Top2:
    retrieve: {{use: best, top_k: 2}}
    downstream: &down {{config: prompt_tuning, overrides: *prompt}}
  Average2:
    retrieve: {{use: average, top_k: 2, by: average_token}}
    downstream: *down
  Random1:
    retrieve: {{top_k: 1, order: random, from: library}}
    downstream: *down
  Mixture:
    retrieve: {{use: mixture, top_k: 2}}
    upstream: &up {{config: spot, overrides: {{model.prompt_length: 3, data.seeds: [13, 21]}}}}
    downstream: *down
  MAML-lowest:
    retrieve: {{top_k: 1, order: lowest, by: subspace}}
    upstream:
      config: maml
      seed: 13
      overrides: {{model.prompt_length: 3, data.seeds: [13, 21]}}
    downstream: *down
"""

RETRIEVING = STUDY.partition("  MTL:")[0].replace("[0.5, 0.3]", "[]") + METHODS.lstrip("\n") + "library: {library}\n"


def write_library(folder: Path, fingerprint: str, backbone: Path | str, tasks: tuple[str, ...]) -> Library:
    """A library of random prompts, one of each task, or one of each time that a task is named."""
    library = Library.create(folder, KeyRecipe(str(backbone), P, key_steps=4, learning_rate=0.3, batch_size=4, seed=5))
    for number, task in enumerate(tasks):
        rng = torch.Generator().manual_seed(number)
        key, value = (torch.randn(P, H, generator=rng) for _ in range(2))
        facts = {"fingerprint": fingerprint, "task": task, "seed": number, "dev_score": 0.5}
        library.add(f"{task}-{number}", key, value, facts, decoder_only=False)
    return library


def write_retrieving(folder: Path, backbone: Path | str, text: str = RETRIEVING) -> Path:
    """The study's file; its library is to be in ``<folder>/library``."""
    return write_study(folder, backbone, text.replace("{library}", str(folder / "library")))
