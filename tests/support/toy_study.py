"""A study of seconds: small partition, small model, two source and two target tasks in CrossFit's format."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.changes import changed, write_yaml

TARGETS, SOURCES, SEEDS = ("superglue-cb", "ag_news"), ("emo", "trec"), (13, 21)
LABELS = {"superglue-cb": "yn", "ag_news": "gb", "emo": "ng", "trec": "yb"}

PROMPT = {"model.prompt_length": 3}
RATES = ("methods", "PT", "downstream", "learning_rates")

STUDY: dict[str, Any] = {
    "name": "toy",
    "seeds": [13, 21],
    "overrides": {
        "trainer.max_steps": 6,
        "trainer.log_every_n_steps": 3,
        "trainer.val_check_interval": 2,
        "trainer.accelerator": "cpu",
        "model.backbone_options.max_input_length": 16,
        "model.backbone_options.max_target_length": 2,
    },
    "methods": {
        "PT": {"downstream": {"config": "prompt_tuning", "overrides": PROMPT, "learning_rates": [0.5, 0.3]}},
        "MTL": {
            "upstream": {"config": "spot", "overrides": {**PROMPT, "data.seeds": [13, 21]}},
            "downstream": {"config": "prompt_tuning", "overrides": PROMPT},
        },
        "FT": {"downstream": {"config": "fine_tuning", "overrides": {"model.optimizer.lr": 0.001}}},
    },
}


def write_tasks(root: Path) -> Path:
    """CrossFit folders of four tasks whose label is told by which letters an input holds."""
    for task, labels in LABELS.items():
        for seed in SEEDS:
            for split, size in (("train", 8), ("dev", 6), ("test", 10)):
                rng = random.Random(f"{task} {split} {seed if split != 'test' else ''}")
                lines = []
                for i in range(size):
                    letters = "abcdef" if i % 2 else "uvwxyz"
                    lines.append("".join(rng.choices(letters, k=8)) + f"\t{labels[i % 2]}\n")
                path = root / task / f"{task}_16_{seed}_{split}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(lines), encoding="utf-8")
    return root


# Targets by partition: ag_news is one of both.
TWO = {"first": (SOURCES, TARGETS), "second": (("trec",), ("ag_news", "emo"))}


def write_partition(path: Path, sources: Sequence[str], targets: Sequence[str], **more: Sequence[str]) -> Path:
    parts = {"source": sources, "target": targets, **more}
    return write_yaml(path, {part: list(tasks) for part, tasks in parts.items()})


def write_study_of_two(folder: Path, backbone: Path | str) -> Path:
    """A study of two partitions, whose MTL learns one upstream prompt for each; one learning rate for PT."""
    places = [str(write_partition(folder / f"{name}.yaml", *parts)) for name, parts in TWO.items()]
    changes = {"partitions": places, ("methods", "MTL", "upstream", "seed"): 13, RATES: []}
    return write_study(folder, backbone, changed(STUDY, changes))


def write_study(folder: Path, backbone: Path | str, study: Mapping[str, Any] = STUDY) -> Path:
    """The study's file, with its data and its partition beside it; but where the study names its own."""
    places = {"backbone": str(backbone), "root": str(write_tasks(folder / "data"))}
    partition = write_partition(folder / "toys.yaml", SOURCES, TARGETS)
    if "partitions" not in study:
        places["partition"] = str(partition)
    return write_yaml(folder / "toy.yaml", {**places, **study})
