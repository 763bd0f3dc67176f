"""Having it measured how long kinds of runs take: a few steps of each, for real, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mpt.util.files import write_json

TRIALS, SPEEDS, LOG = "trials.json", "speeds.json", "log.txt"
"""What is asked, what is answered, and what is printed meanwhile."""


@dataclass(frozen=True)
class Trial:
    """What is measured.

    Attributes:
        arguments: what follows ``mpt``, without the number of steps.
        evaluates: whether it is judged on the way.
        tests: whether ``mpt test`` comes after.
    """

    arguments: list[str]
    evaluates: bool
    tests: bool


@dataclass(frozen=True)
class Speed:
    """What was measured, in seconds.

    Attributes:
        overhead: of a run, beside the following: loading the model, saving, loading what is tested.
        step: of an optimiser step.
        evaluation: of an evaluation on dev with all that goes with it, such as saving a checkpoint; 0 without any.
        test: of one batch of the test list; 0 without a test.
        error: why nothing could be measured.
    """

    overhead: float = 0.0
    step: float = 0.0
    evaluation: float = 0.0
    test: float = 0.0
    error: str | None = None


def calibrate(trials: Sequence[Trial], folder: Path, threads: int, device: str | None) -> list[Speed]:
    """The speed of each trial, measured in a process with so many threads and perhaps one GPU.

    Args:
        folder: for what the trials write; whoever made it removes it.
    """
    write_json(folder / TRIALS, [asdict(trial) for trial in trials])
    # As a study's workers: a number of threads that the user has set stays.
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", **os.environ}
    # Python would look for modules in the working folder, where a stranger's files may lie, before all others.
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths)}
    if device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device
    with (folder / LOG).open("wb") as log:
        ended = subprocess.run(
            [sys.executable, "-m", "mpt.study.forecast.stopwatch", str(folder)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    speeds = [Speed(**speed) for speed in json.loads((folder / SPEEDS).read_text())] if _done(folder) else []
    died = Speed(error=f"its process ended with code {ended.returncode}")
    return [*speeds, *[died] * (len(trials) - len(speeds))]


def _done(folder: Path) -> bool:
    return (folder / SPEEDS).is_file()
