"""A sweep of seconds: FoMAML of a small model on a small partition with two validation tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import toy_study
from support.changes import write_yaml
from support.quick_start import run

VALIDATION = ("superglue-cb", "trec")

DOWN = {"config": "prompt_tuning", "overrides": {"trainer.val_check_interval": 2}}

STUDY: dict[str, Any] = {
    "name": "toy",
    "seeds": [13, 21],
    "overrides": {
        "trainer.max_steps": 2,
        "trainer.log_every_n_steps": 1,
        "trainer.accelerator": "cpu",
        "model.prompt_length": 3,
        "model.backbone_options.max_input_length": 16,
        "model.backbone_options.max_target_length": 2,
    },
    "methods": {
        "PT": {"downstream": DOWN},
        "FoMAML": {
            "upstream": {"config": "fomaml", "overrides": {"model.algorithm.inner_lr": 1, "data.seeds": [13, 21]}},
            "downstream": DOWN,
        },
        "Reptile": {"upstream": {"config": "reptile", "overrides": {"data.seeds": [13, 21]}}, "downstream": DOWN},
        "FT": {"downstream": {"config": "fine_tuning"}},
    },
}

SWEEP: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "ARG", "goal": "maximize"},
    "parameters": {
        "model.optimizer.lr": {"values": [0.5, 5.0]},
        "model.algorithm.inner_lr": {"values": [0.5, 1.0]},
    },
}


def write_study(folder: Path, backbone: Path | str = "mpt-tiny") -> Path:
    """The study's file, with its data and its partition beside it."""
    file = toy_study.write_study(folder, backbone, STUDY)
    toy_study.write_partition(folder / "toys.yaml", ["emo"], ["ag_news"], validation=VALIDATION)
    return file


def write_sweep(folder: Path, study: Path, sweep: Mapping[str, Any] = SWEEP, words: Sequence[str] = ()) -> Path:
    """The sweep's file; its command may have more words."""
    command = ["${env}", "mpt", "sweep", "trial", str(study), "--method", "FoMAML", *words, "${args}"]
    return write_yaml(folder / "rates.yaml", {**sweep, "command": command})


def sweep(*arguments: object, **changes: str) -> tuple[int, str, str]:
    """``mpt sweep`` in a process of its own: exit code, standard output and standard error."""
    return run("sweep", *arguments, **{"WANDB_MODE": "offline", **changes})
