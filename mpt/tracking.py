"""Weights & Biases, offline until asked."""

import os
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger


class Tracker(WandbLogger):
    """Lightning's W&B logger, offline by default and silent where there is no account.

    Offline runs lie under the run's folder and can be sent later with ``wandb sync``. ``WANDB_MODE=online`` or
    ``mode: online`` goes online.

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
        mode = mode or os.environ.get("WANDB_MODE", "offline")  # type: ignore[assignment]
        options: dict[str, Any] = {"group": group, "job_type": job_type, "tags": tags, "mode": mode}
        if mode != "online":
            os.environ.setdefault("WANDB_SILENT", "true")
        super().__init__(name=name, save_dir=save_dir or ".", project=project, **options)
        # Lightning 2.6 hands on an option that W&B 0.31 warns about at every start.
        self._wandb_init.pop("anonymous", None)
