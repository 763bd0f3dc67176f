"""A study of seconds: small partition, small model, two source and two target tasks in CrossFit's format."""

from __future__ import annotations

import random
from pathlib import Path

TARGETS, SOURCES, SEEDS = ("superglue-cb", "ag_news"), ("emo", "trec"), (13, 21)
LABELS = {"superglue-cb": "yn", "ag_news": "gb", "emo": "ng", "trec": "yb"}

STUDY = """
name: toy
backbone: {backbone}
root: {root}
partition: {partition}
seeds: [13, 21]
overrides:
  trainer.max_steps: 6
  trainer.log_every_n_steps: 3
  trainer.val_check_interval: 2
  trainer.accelerator: cpu
  model.backbone_options.max_input_length: 16
  model.backbone_options.max_target_length: 2
methods:
  PT:
    downstream:
      config: prompt_tuning
      overrides: &prompt {{model.prompt_length: 3}}
      learning_rates: [0.5, 0.3]
  MTL:
    upstream:
      config: spot
      overrides: {{model.prompt_length: 3, data.seeds: [13, 21]}}
    downstream: {{config: prompt_tuning, overrides: *prompt}}
  FT:
    downstream:
      config: fine_tuning
      overrides: {{model.optimizer.lr: 0.001}}
"""


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


def write_study_of_two(folder: Path, backbone: Path | str) -> Path:
    """A study of two partitions, whose MTL learns one upstream prompt for each; one learning rate for PT."""
    for name, (sources, targets) in TWO.items():
        text = f"source: [{', '.join(sources)}]\ntarget: [{', '.join(targets)}]\n"
        folder.joinpath(f"{name}.yaml").write_text(text, encoding="utf-8")
    partitions = ", ".join(str(folder / f"{name}.yaml") for name in TWO)
    text = STUDY.replace("partition: {partition}", f"partitions: [{partitions}]")
    text = text.replace("config: spot\n", "config: spot\n      seed: 13\n").replace("[0.5, 0.3]", "[]")
    return write_study(folder, backbone, text)


def write_study(folder: Path, backbone: Path | str, text: str = STUDY) -> Path:
    """The study's file, with its data and its partition beside it."""
    root = write_tasks(folder / "data")
    partition = folder / "toys.yaml"
    partition.write_text(f"source: [{', '.join(SOURCES)}]\ntarget: [{', '.join(TARGETS)}]\n", encoding="utf-8")
    path = folder / "toy.yaml"
    path.write_text(text.format(backbone=backbone, root=root, partition=partition), encoding="utf-8")
    return path
