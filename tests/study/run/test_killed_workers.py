"""A worker that a signal kills: its run is done once more, and then the signal is the reason that it failed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.toy_study import write_study

from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import run_all
from mpt.study.spec.study import load_study

pytestmark = pytest.mark.long


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
        "trainer.callbacks+": "support.killed.Killed",
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
