"""A sweep of seconds: FoMAML of a small model on a small partition with two validation tasks."""

from __future__ import annotations

from pathlib import Path

from support.quick_start import run
from support.toy_study import write_tasks

VALIDATION = ("superglue-cb", "trec")

STUDY = """
name: toy
backbone: {backbone}
root: {root}
partition: {partition}
seeds: [13, 21]
overrides: &all
  trainer.max_steps: 2
  trainer.log_every_n_steps: 1
  trainer.accelerator: cpu
  model.prompt_length: 3
  model.backbone_options.max_input_length: 16
  model.backbone_options.max_target_length: 2
methods:
  PT:
    downstream: &prompt
      config: prompt_tuning
      overrides: {{trainer.val_check_interval: 2}}
  FoMAML:
    upstream:
      config: fomaml
      overrides: {{model.algorithm.inner_lr: 1, data.seeds: [13, 21]}}
    downstream: *prompt
  Reptile:
    upstream:
      config: reptile
      overrides: {{data.seeds: [13, 21]}}
    downstream: *prompt
  FT:
    downstream: {{config: fine_tuning}}
"""

SWEEP = """
method: grid
metric: {{name: ARG, goal: maximize}}
command: ["${{env}}", mpt, sweep, trial, "{study}", --method, FoMAML, "${{args}}"]
parameters:
  model.optimizer.lr: {{values: [0.5, 5.0]}}
  model.algorithm.inner_lr: {{values: [0.5, 1.0]}}
"""


def write_study(folder: Path, backbone: Path | str = "mpt-tiny") -> Path:
    """The study's file, with its data and its partition beside it."""
    root = write_tasks(folder / "data")
    partition = folder / "toys.yaml"
    text = f"source: [emo]\ntarget: [ag_news]\nvalidation: [{', '.join(VALIDATION)}]\n"
    partition.write_text(text, encoding="utf-8")
    path = folder / "toy.yaml"
    path.write_text(STUDY.format(backbone=backbone, root=root, partition=partition), encoding="utf-8")
    return path


def write_sweep(folder: Path, study: Path, text: str = SWEEP) -> Path:
    """The sweep's file."""
    path = folder / "rates.yaml"
    path.write_text(text.format(study=study), encoding="utf-8")
    return path


def sweep(*arguments: object, **changes: str) -> tuple[int, str, str]:
    """``mpt sweep`` in a process of its own: exit code, standard output and standard error."""
    return run("sweep", *arguments, **{"WANDB_MODE": "offline", **changes})
