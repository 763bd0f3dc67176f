"""A run's clock, and the process that runs trials with it, one after another.

``python -m mpt.study.forecast.stopwatch FOLDER`` does the trials in ``FOLDER/trials.json`` and writes
``FOLDER/speeds.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.study.forecast.calibrate import SPEEDS, TRIALS, Speed, Trial
from mpt.study.plan.foreign import writer_elsewhere
from mpt.util.errors import UserError, mistake_behind
from mpt.util.files import write_json

STEPS, INTERVAL = 9, 3
"""Optimiser steps of a trial, and batches from one of its evaluations to the next."""

_LONGER = 5
"""How many times longer a trial is done again whose steps are quick, and hence measured badly."""


class Stopwatch(Callback):
    """Notes when batches begin and end."""

    def __init__(self) -> None:
        # Begin and end of each training batch, and whether an evaluation came after it.
        self.batches: list[list[Any]] = []
        self.tests: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.batches.append([_now(), None, False])

    def on_train_batch_end(self, *_: Any) -> None:
        self.batches[-1][1] = _now()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.batches:
            self.batches[-1][2] = True

    def on_test_batch_start(self, *_: Any) -> None:
        self._begun = _now()

    def on_test_batch_end(self, *_: Any) -> None:
        self.tests.append(_now() - self._begun)

    def speed(self, total: float, batches_per_step: int) -> Speed:
        """What a whole trial of ``total`` seconds shows."""
        pairs = list(zip(self.batches, self.batches[1:], strict=False))
        plain = [later[0] - one[0] for one, later in pairs if not one[2]]
        # The first batch and the first evaluation set things up.
        batch = statistics.median(plain[1:] or plain)
        judged = [later[0] - one[1] for one, later in pairs if one[2]]
        evaluation = statistics.median(judged[1:] or judged) if judged else 0.0
        evaluations = sum(one[2] for one in self.batches)
        spent = batch * len(self.batches) + evaluation * evaluations + sum(self.tests)
        return Speed(
            overhead=max(0.0, total - spent),
            step=batch * batches_per_step,
            evaluation=evaluation,
            test=statistics.median(self.tests) if self.tests else 0.0,
        )


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


def _measure(trial: Trial) -> Speed:
    found = _time(trial, 1)
    quick = found.error is None and STEPS * _LONGER * found.step < 2
    return _time(trial, _LONGER) if quick else found


def _time(trial: Trial, times: int) -> Speed:
    from mpt.data.modules.steps import batches_per_step
    from mpt.fit.command import RunCLI, run_lightning

    class Looking(RunCLI):
        def before_instantiate_classes(self) -> None:
            if (name := writer_elsewhere(self.config[self.subcommand].trainer.as_dict())) is not None:
                raise UserError(f"{name} is given a place to write to, and a plan writes nothing")
            super().before_instantiate_classes()

    begin = time.monotonic()
    arguments = [*trial.arguments, f"--trainer.max_steps={times * STEPS}"]
    arguments += [f"--trainer.val_check_interval={times * INTERVAL}"] if trial.evaluates else []
    try:
        cli = run_lightning(arguments, Looking)
        if trial.tests:
            cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    except SystemExit:
        return Speed(error="its options do not fit its config; mpt study run says which")
    except Exception as error:
        return Speed(error=str(mistake_behind(error) or f"{type(error).__name__}: {error}").split("\n")[0])
    total = _now() - begin
    callbacks: list[Any] = cli.trainer.callbacks  # type: ignore[attr-defined]
    watch = next(part for part in callbacks if isinstance(part, Stopwatch))
    return watch.speed(total, batches_per_step(cli.trainer))


def _main(folder: Path) -> None:
    import torch

    import mpt.fit.command  # noqa: F401

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    speeds: list[dict[str, Any]] = []
    for trial in json.loads((folder / TRIALS).read_text()):
        speeds.append(asdict(_measure(Trial(**trial))))
        write_json(folder / SPEEDS, speeds)


if __name__ == "__main__":
    # By its import name, so that the class that options name is this module's.
    from mpt.study.forecast import stopwatch as _itself

    _itself._main(Path(sys.argv[1]))
