"""Meta-learning in a second: a small T5 with dropout on, two toy tasks, alone or through the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from support.toy import small_fit
from support.toy_study import SEEDS, SOURCES

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.modules.batch import EpisodeBatch
from mpt.data.modules.episodes import EpisodeData
from mpt.learn import MetaPromptTuning
from mpt.prompt.files import load_prompt

OPTIONS = BackboneOptions(max_input_length=16, max_target_length=2)
RATE, SEED = 2e-3, 5


def sgd(lr: float) -> Any:
    """An outer optimiser that descends the meta-gradient as it is."""
    return lambda params: torch.optim.SGD(params, lr=lr)


def learner(model: Path | str, algorithm: Any, **changes: Any) -> MetaPromptTuning:
    settings = {"prompt_length": 4, "optimizer": sgd(0.5), "backbone_options": OPTIONS}
    made = MetaPromptTuning(str(model), algorithm=algorithm, **settings | changes)
    made.seed = SEED  # prompts start alike
    return made


def episodes(root: Path, **changes: Any) -> EpisodeData:
    settings = {"tasks": list(SOURCES), "root": str(root), "seeds": SEEDS, "batch_size": 2, "meta_batch_size": 2}
    return EpisodeData(**settings | changes)


def fit(
    model: pl.LightningModule, data: pl.LightningDataModule, folder: Path, ckpt_path: Path | None = None, **changes: Any
) -> pl.Trainer:
    """Train in this process, for two steps unless said."""
    settings = {
        "max_steps": 2,
        "max_epochs": -1,
        "check_val_every_n_epoch": None,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "inference_mode": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    trainer = pl.Trainer(**settings | changes)
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def meta_gradients(algorithm: Any, model: Path, prompt: torch.Tensor, batch: EpisodeBatch) -> list[torch.Tensor]:
    """Of each episode of a meta-batch, by the algorithm alone, without dropout."""
    backbone = FrozenBackbone(str(model), OPTIONS).eval()

    def loss(point: torch.Tensor, rows: Any) -> torch.Tensor:
        return token_mean(backbone.loss(point, rows), rows)

    def encode(text: Any) -> Any:
        return backbone.encode(text.inputs, text.targets)

    found = []
    for episode in batch.episodes:
        result = algorithm(loss, prompt, [encode(text) for text in episode.support], encode(episode.query))
        found.append(result.gradient)
    return found


def meta_fit(model: Path, root: Path, folder: Path, **changes: Any) -> list[object]:
    """Arguments of ``mpt fit --config maml`` for a run of a second."""
    settings = {
        "data__task": None,
        "data__metric": None,
        "data__partition": "null",
        "data__tasks": f"[{','.join(SOURCES)}]",
        "data__seeds": f"[{','.join(map(str, SEEDS))}]",
        "data__batch_size": 2,
        "trainer__val_check_interval": None,
        "trainer__log_every_n_steps": 1,
        "model__algorithm__inner_lr": RATE,
        "model__backbone_options__max_input_length": OPTIONS.max_input_length,
        "model__backbone_options__max_target_length": OPTIONS.max_target_length,
    }
    return small_fit(model, root, folder, **settings | changes)


def write_callbacks(path: Path, *more: dict[str, Any], every_n_steps: int = 1, monitor: str | None = None) -> Path:
    """A config of the shipped callbacks, with a checkpoint every so many steps, and more callbacks behind them."""
    shipped = [
        {"class_path": "mpt.callbacks.KeepBest", "init_args": {"monitor": monitor}},
        {"class_path": "mpt.callbacks.MetricsFile"},
        {"class_path": "mpt.callbacks.ResumePoint", "init_args": {"every_n_steps": every_n_steps}},
    ]
    path.write_text(yaml.safe_dump({"trainer": {"callbacks": [*shipped, *more]}}), encoding="utf-8")
    return path


class Cut(pl.Callback):
    """Ends a run in the middle as a power cut would: an exception that is nobody's mistake.

    Args:
        after: number of meta-batches that are processed before.
    """

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == self.after:
            raise ConnectionError("power cut")


def saved_prompt(folder: Path) -> torch.Tensor:
    return load_prompt(folder / "prompt").weight


def examples(folder: Path) -> int:
    """Example passes that a run's checkpoint tells."""
    return torch.load(folder / "last.ckpt", weights_only=True)["spent"]["examples"]


def last_checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    """What was learned, as the checkpoint has it."""
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
