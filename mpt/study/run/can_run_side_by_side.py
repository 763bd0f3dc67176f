"""Whether a study's run can be trained beside others."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import WandbLogger

from mpt.callbacks import KeepBest, MetricsFile, PredictionsFile, ResumePoint
from mpt.data.modules.few_shot import FewShotData
from mpt.fit.parse import MadeRun
from mpt.learn import PromptTuning
from mpt.record.rows import DEV_SCORE

CALLBACKS = (KeepBest, MetricsFile, PredictionsFile, ResumePoint, EarlyStopping)
PRECISIONS = (None, "32", "32-true", 32, "bf16-mixed")
IRRELEVANT = {
    "default_root_dir",
    "enable_progress_bar",
    "enable_model_summary",
    "enable_checkpointing",
    "inference_mode",
}
CHECKED = {"accelerator", "devices", "precision", "logger", "callbacks", "max_steps", "max_epochs", "log_every_n_steps"}
CHECKED |= {"val_check_interval", "check_val_every_n_epoch", "num_sanity_val_steps", "accumulate_grad_batches"}


def obstacle(run: MadeRun) -> str | None:
    """Why a run cannot be trained beside others; None if it can."""
    trainer, data, learner = run.trainer, run.data, run.learner
    if type(learner) is not PromptTuning:
        return f"the learner is {type(learner).__name__}"
    if learner.reparameterisation is not None:
        return f"the prompt is learned as a {type(learner.reparameterisation).__name__}"
    if type(data) is not FewShotData:
        return f"the data are {type(data).__name__}"
    defaults = inspect.signature(Trainer.__init__).parameters
    for name, value in trainer.items():
        if name not in IRRELEVANT | CHECKED and value != defaults[name].default:
            return f"trainer.{name} is {value}"
    for part in trainer["callbacks"] or []:
        if type(part) not in CALLBACKS:
            return f"there is a callback {type(part).__name__}"
    keeper, stopper = run.callback(KeepBest), run.callback(EarlyStopping)
    if keeper is None or keeper.monitor != DEV_SCORE:
        return "no KeepBest monitors dev/score"
    if stopper is not None and (stopper.monitor != DEV_SCORE or stopper._check_on_train_epoch_end):
        return "EarlyStopping does not monitor dev/score after each evaluation"
    if trainer["logger"] is not False and not isinstance(trainer["logger"], WandbLogger):
        return "the logger is not the Tracker"
    if trainer["precision"] not in PRECISIONS:
        return f"trainer.precision is {trainer['precision']}"
    if trainer["accumulate_grad_batches"] != 1:
        return "gradients are accumulated"
    every, steps = trainer["val_check_interval"], trainer["max_steps"]
    if type(every) is not int or not 0 < every <= steps or trainer["check_val_every_n_epoch"] is not None:
        return "it is not evaluated every so many steps"
    if trainer["num_sanity_val_steps"] != 0 or trainer["max_epochs"] not in (None, -1):
        return "trainer.num_sanity_val_steps is not 0, or max_epochs is set"
    return None if device(trainer) is not None else "it asks for several devices, or for another kind than CPU and CUDA"


def device(trainer: dict[str, Any]) -> torch.device | None:
    """The one device that the Trainer would use; None if there are several, or of an unknown kind."""
    kind, number = str(trainer["accelerator"]), str(trainer["devices"])
    cuda = torch.cuda.device_count()
    if kind == "auto":
        kind = "cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind == "cpu" and number in ("auto", "1"):
        return torch.device("cpu")
    if kind in ("gpu", "cuda") and (number == "1" or (number == "auto" and cuda == 1)):
        return torch.device("cuda", 0)
    return None
