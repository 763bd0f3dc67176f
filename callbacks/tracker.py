"""Weights & Biases, offline until asked; whatever happens to it, training goes on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from mpt.prompt.files import is_prompt, load_prompt
from mpt.util.errors import one_line
from mpt.util.wandb_runs import start_run, tracking_mode

log = logging.getLogger(__name__)


def _never_stops(method: Callable[..., None]) -> Callable[..., None]:
    @wraps(method)
    def guarded(self: Tracker, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # whatever a logger, its network or its disk may raise
            self._tell(error)

    return guarded


class Tracker(WandbLogger):
    """Lightning's W&B logger, offline by default and silent where there is no account.

    Offline runs lie under the run's folder and can be sent later with ``wandb sync``. ``WANDB_MODE=online`` or
    ``mode: online`` goes online; a server that does not answer within 30 s (``WANDB_INIT_TIMEOUT``) leaves the run
    offline, and nothing that W&B may raise stops a run: it is told once.

    Args:
        project: W&B project.
        mode: offline, online or disabled; the environment's ``WANDB_MODE`` if null, else offline.
        save_dir: where W&B keeps its files; the run's folder if null.
        name: name of the run.
        group: group of the run.
        job_type: kind of the run.
        tags: tags of the run.
    """

    def __init__(
        self,
        project: str = "mpt",
        mode: Literal["offline", "online", "disabled"] | None = None,
        save_dir: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        chosen = mode or tracking_mode()
        if chosen != "online":
            os.environ.setdefault("WANDB_SILENT", "true")
        options: dict[str, Any] = {"group": group, "job_type": job_type, "tags": tags, "mode": chosen}
        super().__init__(name=name, save_dir=save_dir or ".", project=project, **options)
        # Lightning 2.6 hands on an option that W&B 0.31 warns about at every start.
        self._wandb_init.pop("anonymous", None)
        self._told = False

    @property
    def experiment(self) -> Any:
        """The W&B run: the one this process has already, or a new one; one that takes everything and keeps nothing
        if none can be had.
        """
        if self._experiment is None and getattr(rank_zero_only, "rank", 0) == 0:
            import wandb

            if wandb.run is None:
                try:
                    run = start_run(**self._wandb_init)
                    run.define_metric("trainer/global_step")
                    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
                except Exception as error:
                    self._tell(error)
                    run = wandb.init(mode="disabled")
                self._experiment = run
        return super().experiment

    @rank_zero_only
    @_never_stops
    def log_hyperparams(self, params: Any) -> None:
        """Log options as the run's config."""
        super().log_hyperparams(params)

    @rank_zero_only
    @_never_stops
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers of a step."""
        super().log_metrics(metrics, step)

    @rank_zero_only
    @_never_stops
    def log_prompt(self, folder: Path) -> None:
        """Log a prompt's folder as an artifact of type ``prompt`` with what is known of it; a fine-tuned model is none.

        Args:
            folder: as :func:`mpt.prompt.files.save_prompt` writes it.
        """
        import wandb

        if not is_prompt(folder):
            return
        artifact = wandb.Artifact(f"prompt-{self.experiment.id}", type="prompt", metadata=load_prompt(folder).facts)
        artifact.add_dir(str(folder))
        self.experiment.log_artifact(artifact)

    @_never_stops
    def finalize(self, status: str) -> None:
        """End of a Trainer's run."""
        super().finalize(status)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            log.warning("W&B has not all of this run: %s", one_line(error))
        self._told = True
