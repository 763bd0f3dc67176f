"""How a W&B run is started: offline until asked, and where a server does not answer."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpt.util.errors import one_line

log = logging.getLogger(__name__)

SECONDS = {"WANDB_INIT_TIMEOUT": ("init_timeout", 30.0), "WANDB_FINISH_TIMEOUT": ("finish_timeout", 120.0)}
"""How long a start and an end wait for a server, unless the environment says otherwise: W&B itself waits 90 s for a
server that is not there, and at the end for ever."""

_ABOUT_THE_MACHINE = "WANDB__DISABLE_META"
"""Unless the environment says ``false`` by it, W&B keeps no user's name, home folder, command line and remote of git.
What a run is and ran on is in its configuration."""

AGAIN = 600.0
"""Seconds after which a server that did not answer is asked again: many runs of one process wait for it once."""

_asked_again = 0.0


def tracking_mode(default: str = "offline") -> str:
    """offline, online or disabled: ``WANDB_MODE``, else the default. Where nobody is logged in, W&B is silent."""
    mode = os.environ.get("WANDB_MODE", default)
    if mode != "online":
        os.environ.setdefault("WANDB_SILENT", "true")
    return mode


def start_run(**options: Any) -> Any:
    """``wandb.init`` that stays offline, in a sentence, where the server does not answer.

    Raises:
        Exception: whatever W&B raises if no run can be had offline either.
    """
    import wandb

    global _asked_again
    if options.get("mode") == "online" and time.monotonic() < _asked_again:
        options["mode"] = "offline"
    settings: dict[str, Any] = {"x_disable_meta": True} if _ABOUT_THE_MACHINE not in os.environ else {}
    settings |= {name: value for variable, (name, value) in SECONDS.items() if variable not in os.environ}
    if options.get("dir") is not None:
        # W&B's service may have another working directory than we have.
        options["dir"] = os.path.abspath(options["dir"])
    try:
        return wandb.init(**options, settings=settings)
    except Exception as error:
        if options.get("mode") in ("offline", "disabled"):
            raise
        told = "W&B does not answer (%s); this run is kept offline in %s and can be sent later with `wandb sync`"
        _asked_again = time.monotonic() + AGAIN
        log.warning(told, one_line(error), options.get("dir") or "wandb")
        return wandb.init(**{**options, "mode": "offline"}, settings=settings)


def start_job(folder: Path, group: str, name: str, job_type: str, config: Mapping[str, Any]) -> Any:
    """A run of the package's own about many runs, beside whatever run this process may have."""
    return start_run(
        project="mpt",
        mode=tracking_mode(),
        dir=str(folder),
        group=group,
        name=name,
        job_type=job_type,
        config=dict(config),
        reinit="create_new",
    )
