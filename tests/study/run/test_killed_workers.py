"""A worker that a signal kills: its run is done once more, and then the signal is the reason that it failed."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from pytorch_lightning import Callback
from support.toy_study import write_study

from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import run_all
from mpt.study.spec.study import load_study

pytestmark = pytest.mark.long


class Killed(Callback):
    """Kills its process in the third step, so many times."""

    def __init__(self, times: int, counts: str) -> None:
        self.times, self.counts = times, Path(counts)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if batch_idx == 2 and (before := len(self.counts.read_text())) < self.times:
            self.counts.write_text("x" * (before + 1))
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    def __init__(self) -> None:
        self.said: list[str] = []

    def begins(self, left, done, workers) -> None:
        pass

    def finished(self, run, result) -> None:
        self.said.append("finished")

    def failed(self, run, reason) -> None:
        self.said.append(reason)


def killed(run: PlannedRun, times: int, counts: Path) -> PlannedRun:
    counts.write_text("")
    kills = {
        "trainer.callbacks+": f"{Killed.__module__}.Killed",
        "trainer.callbacks.times": times,
        "trainer.callbacks.counts": str(counts),
    }
    return replace(run, options={**run.options, **kills})


@pytest.mark.parametrize(
    ("times", "said"), [(1, "finished"), (2, "its process died (signal 9, perhaps for lack of memory)")]
)
def test_it_is_tried_once_more(times, said, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    file = write_study(tmp_path, model_folder("t5"))
    run = killed(plan(load_study(file), tmp_path / "out")[0], times, tmp_path / "counts")
    watched = Watched()
    assert run_all([run], 1, watched) == ([] if said == "finished" else [run])
    assert watched.said == [said]
    assert (tmp_path / "counts").read_text() == "x" * times
    if said == "finished":
        assert json.loads((run.folder / "result.json").read_text())["steps"] == 6
