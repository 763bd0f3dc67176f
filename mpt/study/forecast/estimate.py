"""How long a study would take: each kind of run is measured for a few steps, and the rest is multiplication."""

from __future__ import annotations

import heapq
import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpt.data.fewshot.files import load_fewshot
from mpt.study.forecast.calibrate import Speed, Trial, calibrate
from mpt.study.plan.foreign import foreign
from mpt.study.plan.grouping import are_small
from mpt.study.plan.library import unretrieved
from mpt.study.plan.planned_run import PLACE, PlannedRun, option
from mpt.util.machine import cores, gpu_names

_SAME = (
    "--seed_everything=",
    "--trainer.default_root_dir=",
    "--trainer.logger",
    "--trainer.max_steps=",
    "--data.task",
    "--data.partition=",
    "--data.seed=",
    "--data.k=",
    "--data.retrieved.",
    "--data.target",
    "--model.init",
    "--model.start=",
    "--model.optimizer.lr=",
    "--model.algorithm.inner_lr=",
    "--model.lr_scheduler",
)
"""Options that do not decide how long a step takes, by how their words begin."""


@dataclass
class Kind:
    """Runs whose steps take the same time.

    Attributes:
        cells: all of them, finished or not.
        speed: as measured.
    """

    cells: list[PlannedRun]
    speed: Speed = field(default_factory=Speed)

    @property
    def stage(self) -> str:
        return self.cells[0].stage

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(cell.method for cell in self.cells))


@dataclass(frozen=True)
class Estimate:
    """What is known of the time that the unfinished runs of a study take.

    Attributes:
        kinds: as measured.
        seconds: of each run by key; those that cannot be told are not there.
        elapsed: from start to end, with the workers that were asked for.
        measured: seconds that measuring took.
    """

    kinds: list[Kind]
    seconds: Mapping[str, float]
    elapsed: float
    workers: int
    threads: int


def kinds_of(cells: Sequence[PlannedRun]) -> list[Kind]:
    """Runs of one stage whose command lines differ in nothing that decides how long a step takes."""
    kinds: dict[tuple[str, ...], Kind] = {}
    for cell in cells:
        words = tuple(word for word in cell.recipe if not word.startswith(_SAME))
        kinds.setdefault((cell.stage, *words), Kind([])).cells.append(cell)
    return list(kinds.values())


def estimate(cells: Sequence[PlannedRun], left: Sequence[PlannedRun], root: str, workers: int) -> Estimate:
    """Measure one run of each kind that is left, in a temporary folder, and add up.

    Args:
        cells: the whole plan.
        left: its unfinished runs.
        root: the data folder.
        workers: processes that would be at work at once, each with its share of the cores, or a GPU.
    """
    workers = max(1, min(workers, len(left)))
    threads, gpus = 1 if are_small(cells) else max(1, cores() // workers), gpu_names()
    sizes = Sizes(root)
    kinds = kinds_of(left)
    known = [(kind, model) for kind in kinds if (model := _representative(kind, sizes)) is not None]
    for kind in kinds:
        kind.speed = Speed(error="tasks that it needs are missing")
    strange = {id(kind): name for kind, model in known if (name := foreign(model.recipe)) is not None}
    for kind, _ in known:
        if id(kind) in strange:
            kind.speed = Speed(
                error=f"it names {strange[id(kind)]}, code of another package, which a plan does not run"
            )
    known = [(kind, model) for kind, model in known if id(kind) not in strange]
    with tempfile.TemporaryDirectory(prefix="mpt-plan-") as folder:
        trials = [_trial(model, Path(folder, str(number))) for number, (_, model) in enumerate(known)]
        speeds = calibrate(trials, Path(folder), threads, gpus[0] if gpus else None) if trials else []
    seconds: dict[str, float] = {}
    for (kind, model), speed in zip(known, speeds, strict=True):
        kind.speed = speed
        if speed.error is None:
            seconds |= {cell.key: run_seconds(cell, speed, model, sizes) for cell in kind.cells}
    return Estimate(kinds, seconds, elapsed(left, seconds, workers), workers, threads)


def run_seconds(cell: PlannedRun, speed: Speed, measured: PlannedRun, sizes: Sizes) -> float:
    """What a run takes, from what was measured on another of its kind.

    An evaluation takes time in proportion to its batches. A run whose data are not there counts as the measured one.
    """
    steps = int(option(cell, "trainer.max_steps") or 0)
    seconds = speed.overhead + steps * speed.step
    if not evaluates(cell):
        return seconds
    evaluations = steps // int(option(cell, "trainer.val_check_interval"))
    if cell.stage == "upstream":
        return seconds + evaluations * speed.evaluation
    own = sizes.of(cell if cell.fingerprint else measured)
    theirs = sizes.of(measured)
    batch = int(option(cell, "data.eval_batch_size") or 32)
    judged = speed.evaluation * math.ceil(own.dev / batch) / math.ceil(theirs.dev / batch)
    return seconds + evaluations * judged + math.ceil(own.test / batch) * speed.test


def elapsed(cells: Sequence[PlannedRun], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds from start to end, if each run goes to the worker that is free first, upstream runs before others."""
    free = [0.0] * workers
    ends: dict[str, float] = {}
    for cell in sorted(cells, key=lambda cell: cell.stage != "upstream"):
        begin = max([heapq.heappop(free), *(ends.get(key, 0.0) for key in cell.needs)])
        ends[cell.key] = begin + seconds.get(cell.key, 0.0)
        heapq.heappush(free, ends[cell.key])
    return max(ends.values(), default=0.0)


@dataclass(frozen=True)
class Size:
    """Examples of a target's dev and test lists, and characters of its train inputs, on average."""

    dev: int
    test: int
    length: float


class Sizes:
    """How large the data of targets are; the seeds' draws count as alike."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.known: dict[tuple[Any, ...], Size] = {}

    def of(self, cell: PlannedRun) -> Size:
        k, metric, limit = (option(cell, f"data.{name}") for name in ("k", "metric", "test_examples"))
        key = (cell.target, k, metric, limit)
        if key not in self.known:
            draw = load_fewshot(self.root, str(cell.target), cell.seed, k, metric)
            most = 10_000 if limit is None else int(limit)
            length = statistics.fmean(len(example.input) for example in draw.train)
            self.known[key] = Size(len(draw.dev), min(most, len(draw.test)), length)
        return self.known[key]


def evaluates(cell: PlannedRun) -> bool:
    """Whether a run is judged on the way: downstream on dev, upstream where there are validation tasks."""
    interval = option(cell, "trainer.val_check_interval")
    return isinstance(interval, int) and (cell.stage == "downstream" or bool(option(cell, "data.validation")))


def _representative(kind: Kind, sizes: Sizes) -> PlannedRun | None:
    """The run to measure: downstream, one on the target whose inputs are of middling length."""
    there = [cell for cell in kind.cells if cell.fingerprint]
    if not there or there[0].stage == "upstream":
        return next(iter(there), None)
    # The first rate of the first seed stands for the others.
    targets = {cell.target: cell for cell in reversed(there)}
    ordered = sorted(targets.values(), key=lambda cell: sizes.of(cell).length)
    return ordered[len(ordered) // 2]


def _trial(cell: PlannedRun, folder: Path) -> Trial:
    words = [word for word in cell.recipe if not word.startswith(("--trainer.logger", "--trainer.default_root_dir="))]
    # What is learned upstream first is as long, or as large, as what the config starts from.
    from_upstream = any(PLACE in word for word in words)
    words = [word for word in words if not (from_upstream and word.startswith(("--model.init", "--model.start=")))]
    words = unretrieved(words)
    words += [f"--trainer.default_root_dir={folder}", "--trainer.logger=false"]
    words.append("--trainer.callbacks+=mpt.study.forecast.stopwatch.Stopwatch")
    if cell.stage == "downstream":
        words.append(f"--data.test_examples={2 * int(option(cell, 'data.eval_batch_size') or 32)}")
    return Trial(words, evaluates(cell), tests=cell.stage == "downstream")
