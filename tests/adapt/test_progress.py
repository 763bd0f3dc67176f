"""What is said of the time, on a clock made by hand."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

import mpt.adapt.progress as progress
from mpt.backbone.device import device_words


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_an_estimate_of_timed_steps_then_lines_with_the_time_left(monkeypatch):
    clock, said = Clock(), io.StringIO()
    monkeypatch.setattr(progress, "time", clock)
    terminal = Console(file=said, width=200, highlight=False, markup=False)
    run = SimpleNamespace(best=SimpleNamespace(score=0.5), loss=torch.tensor(1.0))
    side: Any = SimpleNamespace(
        steps=0,
        max_steps=100,
        every=25,
        runs=[run] * 3,
        live=[run] * 3,
        rows=SimpleNamespace(device=torch.device("cpu")),
    )
    with progress.TuningProgress(terminal, "tuning") as bar:
        clock.now += 10  # an evaluation
        bar.told(side)
        for seconds in [50, *[2] * 49]:  # the first step is slow, and says nothing of the others
            clock.now += seconds
            side.steps += 1
            bar.stepped(side)
            if side.steps % 25 == 0:
                clock.now += 10
                bar.told(side)
    lines = said.getvalue().splitlines()
    # 96 steps of 2 s and 4 evaluations of 10 s are 232 s.
    assert lines[1] == f"tuning: about 4 minutes on {device_words(torch.device('cpu'))}: 3 starts x 96 more steps"
    assert lines[0] == "tuning: step 0 of 100, best dev 0.500  0.500  0.500"
    # The first minute is over at step 7: 62 s for 7 steps, so 93 take 823 s; a minute later 124 s for 33.
    assert lines[2].endswith("step 7 of 100, best dev 0.500  0.500  0.500, about 14 minutes left")
    assert lines[-1].endswith("step 33 of 100, best dev 0.500  0.500  0.500, about 4 minutes left")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (1.6, "2 seconds"), (89, "89 seconds"), (150, "2 minutes"), (9000, "2.5 hours")],
)
def test_a_duration_in_words(seconds, words):
    assert progress.duration(seconds) == words


def test_the_device_is_named():
    assert device_words(torch.device("cpu")).startswith("this CPU (")
