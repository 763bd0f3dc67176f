"""A callback that kills its process, as a worker without memory is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pytorch_lightning import Callback


class Killed(Callback):
    """Kills its process in the third step, so many times."""

    def __init__(self, times: int, counts: str) -> None:
        self.times, self.counts = times, Path(counts)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if batch_idx == 2 and (before := len(self.counts.read_text())) < self.times:
            self.counts.write_text("x" * (before + 1))
            os.kill(os.getpid(), signal.SIGKILL)
