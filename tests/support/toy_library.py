"""A library of random prompts for the tests."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.library.similarity import per_token

WIDTH = 4
RECIPE = KeyRecipe("mpt-tiny", 3, 20, 0.3, 8, 13)


def draw(seed: int) -> tuple[Tensor, Tensor]:
    """A key and a value, ``[3, WIDTH]``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, WIDTH, generator=generator), torch.randn(3, WIDTH, generator=generator)


def filled(folder: Path, count: int = 5, fingerprint: str = "f", recipe: KeyRecipe = RECIPE) -> Library:
    """Entries <fingerprint>0, 1, …; two of each task."""
    library = Library.create(folder, recipe)
    for i in range(count):
        facts = {"fingerprint": fingerprint, "task": f"task{i // 2}", "seed": i, "dev_score": i / 10}
        library.add(f"{fingerprint}{i}", *draw(i), facts, decoder_only=False)
    return library


def found(library: Library, fingerprint: str = "f", k: int = 1000) -> dict[str, float]:
    """What a search for the key of seed 7 finds: names, in order, and similarities."""
    hits = library.search(draw(7)[0], k, fingerprint=fingerprint)
    return {hit.entry.name: hit.similarity for hit in hits}


def direct(library: Library, fingerprint: str = "f") -> dict[str, float]:
    """The same by reading every key."""
    entries = library.entries(fingerprint)
    pairs = {entry.name: float(per_token(draw(7)[0][None], library.key(entry)[None])) for entry in entries}
    return dict(sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0])))
