"""``mpt study`` in a process of its own: as a user starts it, or forked from one that has the libraries loaded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.paths import ROOT
from support.quick_start import run

FOUND = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}


def heed_ctrl_c() -> None:
    """A process started in the background by a script ignores SIGINT, and so do all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    """A process at work on a study."""
    command = [sys.executable, "-m", "mpt", "study", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **FOUND, **changes},
        preexec_fn=heed_ctrl_c,
        start_new_session=True,  # so that a signal to its group does not reach the tests
    )


def study(*arguments: object, **changes: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; nothing for W&B unless asked."""
    return run("study", *arguments, **{"WANDB_MODE": "disabled", **changes})


def results(out: Path) -> dict[str, dict[str, Any]]:
    """Key to content of every finished run."""
    return {str(path.parent.relative_to(out)): json.loads(path.read_text()) for path in out.rglob("result.json")}
