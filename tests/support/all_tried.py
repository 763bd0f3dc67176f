"""The folder of a study that tried every source prompt, and its library, as if their runs had been done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from support.by_hand import record, setting, with_result, write_folder

from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import save_prompt
from mpt.study.run.results import RunRecord

LENGTH, WIDTH = 4, 12
SOURCES = ["s-a-1", "s-a-2", "s-b-1", "s-c-1", "s-d-1"]
TASKS = {"s-a-1": "s-a", "s-a-2": "s-a", "s-b-1": "s-b", "s-c-1": "s-c", "s-d-1": "s-d"}
TARGETS, SEEDS = ["t", "u"], [13, 21]
BASE = {("t", 13): 0.5, ("t", 21): 0.7, ("u", 13): 0.2, ("u", 21): 0.4}

# By target, source and seed (13, 21): test score, dev score, similarity.
TRIED: dict[str, dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "t": {
        "s-a-1": ((0.80, 0.9, 0.9), (0.90, 0.6, 0.8)),
        "s-a-2": ((0.60, 0.7, 0.8), (0.70, 0.9, 0.9)),
        "s-b-1": ((0.90, 0.8, 0.3), (0.80, 0.5, 0.2)),
        "s-c-1": ((0.50, 0.5, 0.4), (0.60, 0.4, 0.3)),
        "s-d-1": ((0.40, 0.6, 0.1), (0.60, 0.9, 0.1)),
    },
    "u": {
        "s-a-1": ((0.20, 0.1, 0.2), (0.40, 0.2, 0.3)),
        "s-a-2": ((0.10, 0.2, 0.1), (0.20, 0.1, 0.2)),
        "s-b-1": ((0.60, 0.5, 0.7), (0.50, 0.6, 0.9)),
        "s-c-1": ((0.40, 0.6, 0.8), (0.60, 0.5, 0.6)),
        "s-d-1": ((0.30, 0.5, 0.3), (0.50, 0.7, 0.1)),
    },
}


@dataclass(frozen=True)
class Made:
    """Where things are."""

    study: Path
    library: Path


def tried_records(library: Path) -> list[RunRecord]:
    """PT with a run each, every source with two learning rates, of which the better on dev has the score of TRIED."""
    rows = [record("PT", target, seed, score) for (target, seed), score in BASE.items()]
    for target, tried in TRIED.items():
        for rank, (source, found) in enumerate(tried.items()):
            for seed, (score, dev, similarity) in zip(SEEDS, found, strict=True):
                options = {
                    "model.init": "mpt.library.retrieved.Retrieved",
                    "model.init.library": library,
                    "model.init.key": f"{{study}}/embedding/{target}-{seed}/prompt",
                    "model.init.by": "per_token",
                }
                more = {"source": source, "similarity": similarity}
                more["recipe"] = ["fit", *(f"--{name}={value}" for name, value in options.items())]
                for rate, own, on_dev in ((0.3, score, dev), (0.5, 0.99, dev - 0.05)):
                    row = record("All-on-dev", target, seed, own, dev=on_dev, rate=rate)
                    rows.append(replace(with_result(row, **more), key=f"{row.key}-rank{rank}"))
    return rows


def write_tried(folder: Path, records: list[RunRecord] | None = None) -> Made:
    """A study's folder, its library beside it, and keys that are as similar as random ones are."""
    rng = torch.Generator().manual_seed(3)
    made = Made(folder / "study", folder / "library")

    def prompt() -> torch.Tensor:
        return torch.randn(LENGTH, WIDTH, generator=rng) + 1

    library = Library.create(made.library, KeyRecipe("mpt-tiny", LENGTH, 50, 0.3, 8, 13))
    for name in SOURCES:
        facts = {"fingerprint": "abc", "task": TASKS[name], "seed": int(name[-1])}
        library.add(name, prompt(), prompt(), facts, decoder_only=False)
    for target, seed in BASE:
        place = made.study / f"embedding/{target}-{seed}/prompt"
        save_prompt(place, prompt(), "mpt-tiny", False, {"fingerprint": "abc", "task": target})
    records = tried_records(made.library) if records is None else records
    facts = {"settings": [setting("p", *TARGETS)], "methods": ["PT", "All-on-dev"], "seeds": SEEDS}
    write_folder(made.study, records, **facts)
    return made
