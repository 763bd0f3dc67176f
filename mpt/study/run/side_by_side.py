"""Doing several downstream runs side by side, each leaving the files that it leaves alone.

Their numbers are those of a run alone whose sums are rounded otherwise: :class:`mpt.learn.side_by_side.SideBySide`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping

from mpt.backbone.checks import refuse_unsafe_dtype
from mpt.backbone.device import arithmetic_of
from mpt.backbone.model import FrozenBackbone
from mpt.callbacks import KeepBest, MetricsFile, PredictionsFile
from mpt.callbacks.tracker import Tracker
from mpt.fit.parse import MadeRun, make_run
from mpt.learn.answering import score_written
from mpt.learn.side_by_side import PackedRun, RunProgress, SideBySide
from mpt.record.result import RunResult
from mpt.record.rows import MetricsRow, prompt_facts, seven_digits, write_metrics, write_predictions
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.can_run_side_by_side import device, obstacle
from mpt.study.run.environment import environment
from mpt.study.run.one import do_run, end_run, retrieved
from mpt.study.run.packs import PackFiles
from mpt.util.errors import UserError, mistake_behind, one_line
from mpt.util.files import write_text
from mpt.util.output import output_to

log = logging.getLogger(__name__)


@dataclass
class _Run:
    """A run of a pack, and what it is to do."""

    planned: PlannedRun
    made: MadeRun

    def path(self, callback: type) -> Path | None:
        """The file that a callback writes; None if the run has no such callback."""
        part = self.made.callback(callback)
        return None if part is None else self.planned.folder / part.name


def run_pack(unit: Sequence[PlannedRun]) -> dict[str, str]:
    """Do the runs of a pack, from its state if it left one: what became of each, ``"finished"`` or ``"failed"``.

    Those that cannot be done side by side (:func:`mpt.study.run.can_run_side_by_side.obstacle`), and all if their pack
    fails as a whole, are done one at a time. A finished run takes part only in a pack that goes on from its state,
    since a run that is resumed must meet the same neighbours, or its numbers would be rounded otherwise and in the end
    be others; its files are left as they are.

    Args:
        unit: a unit of :func:`mpt.study.plan.grouping.units_left`.
    """
    ended: dict[str, str] = {}
    left = [run for run in unit if not run.files.is_finished]
    pack = _Pack(left if left and not PackFiles(unit).state.is_file() else unit)
    if left and len(pack.unit) > 1:
        try:
            ended = pack.run()
        except Exception as error:
            # Each of them alone will do, or say what is wrong with it.
            log.warning("not side by side: %s", mistake_behind(error) or one_line(error))
        finally:
            end_run()
    for run in unit:
        if run.key not in ended:
            ended[run.key] = "finished" if run.files.is_finished else do_run(run)
    pack.files.clear()
    return ended


class _Pack:
    """Runs that are trained side by side, and where their state lies."""

    def __init__(self, unit: Sequence[PlannedRun]) -> None:
        self.unit = list(unit)
        self.files = PackFiles(unit)
        self.ended: dict[str, str] = {}
        self.runs: list[_Run] = []
        self.begun = time.monotonic()

    def run(self) -> dict[str, str]:
        self.files.begin()
        with output_to(self.files.log):
            self._prepare()
            if len(self.runs) < 2:
                return self.ended
            side = self._side_by_side()
            resumed = side.resume(self.files.state)
            if not resumed and any(run.planned.files.is_finished for run in self.runs):  # a state that cannot be read
                self.runs = [run for run in self.runs if not run.planned.files.is_finished]
                if len(self.runs) < 2:
                    return self.ended
                side = self._side_by_side()
            if resumed:
                print(f"study: the pack goes on from step {side.steps}")
            self._begin(resumed)
            side.fit(self.files.state, evaluated=self._write_metrics)
            scores = side.test()
            self.runs[0].made.learner._report_cut()
        for run, progress in zip(self.runs, side.runs, strict=True):
            self._end(run, progress, scores.get(run.planned.key), resumed, side.seconds / len(self.runs))
        self.files.log.unlink(missing_ok=True)
        return self.ended

    def _prepare(self) -> None:
        """Make every run's learner and data; those that are not fit to be here are left out."""
        backbone: FrozenBackbone | None = None
        first: MadeRun | None = None
        for planned in self.unit:
            try:
                made = make_run(planned.arguments)
                why = obstacle(made)
                if why is None and first is not None and _shape(made) != _shape(first):
                    why = "its steps are not those of the others"
                if why is not None:
                    print(f"study: {planned.key} is done alone: {why}")
                    continue
                made.data.setup("fit")
                if backbone is None:
                    first = made
                    backbone = FrozenBackbone(made.learner.backbone_name, made.learner.backbone_options)
                    print(f"study: backbone {backbone.name}: {backbone.reading}")
                    refuse_unsafe_dtype(backbone.config.model_type, str(made.trainer["precision"]))
                made.learner.tasks, made.learner.demonstrations = made.data.task_names, made.data.demonstrations
                made.learner.build_on(backbone, made.data.labels)
                made.learner.check_targets(made.data)
                self.runs.append(_Run(planned, made))
            except UserError as error:
                self._fail(planned, str(error))
        if first is not None and backbone is not None:
            where = device(first.trainer)
            assert where is not None
            backbone.to(where)
            for run in self.runs:
                run.made.learner.prompt.to(where)

    def _side_by_side(self) -> SideBySide:
        first = self.runs[0]
        trainer = first.made.trainer
        side = SideBySide(
            first.made.learner.backbone,
            [_packed(run) for run in self.runs],
            max_steps=trainer["max_steps"],
            every=trainer["val_check_interval"],
            log_every=trainer["log_every_n_steps"] if trainer["log_every_n_steps"] is not None else 50,
            seed=first.planned.seed,
            autocast=self._autocast(first),
        )
        side.begun = self.begun
        return side

    @staticmethod
    def _autocast(run: _Run) -> torch.dtype | None:
        trainer = run.made.trainer
        where = device(trainer)
        return arithmetic_of(str(trainer["precision"]), where) if where is not None else None

    def _begin(self, resumed: bool) -> None:
        for run in self.runs:
            planned, folder = run.planned, run.planned.files
            if folder.is_finished:
                continue
            folder.start(planned.fingerprint, planned.recipe, resumed)
            write_text(folder.config, run.made.text)
            others = ", ".join(other.planned.key for other in self.runs if other is not run)
            write_text(folder.log, f"study: mpt {' '.join(planned.arguments)}\nstudy: side by side with {others}\n")

    def _write_metrics(self, side: SideBySide) -> None:
        for run, progress in zip(self.runs, side.runs, strict=True):
            if not run.planned.files.is_finished and (path := run.path(MetricsFile)) is not None:
                write_metrics(path, map(MetricsRow.of, progress.history))

    def _end(
        self, run: _Run, done: RunProgress, scored: tuple[str, float] | None, resumed: bool, seconds: float
    ) -> None:
        """Write what a run leaves behind, its result last."""
        planned = run.planned
        if planned.files.is_finished:
            self.ended[planned.key] = "finished"
            return
        with planned.files.log.open("a", encoding="utf-8") as file:
            file.write(self.files.log.read_text(encoding="utf-8", errors="replace"))
            if done.ended is not None:
                file.write(f"study: it ended at step {done.steps}: {done.ended}\n")
            if done.best.step is not None:
                file.write(f"best dev/score {done.best.score:.4f} at step {done.best.step}\n")
        if scored is None:
            self._fail(planned, done.ended or "it has no result")
            return
        metric, score = scored
        written = score_written(metric, done.outputs)
        tested = {"step": done.steps, f"test/{metric}": score, "test/score": score}
        tested |= {f"test/{name}": value for name, value in written.items()}
        keeper = run.made.callback(KeepBest)
        learner, data = run.made.learner, run.made.data
        with torch.no_grad():
            learner.prompt.weight.copy_(done.best_prompt)
        facts = prompt_facts(learner, data, done.best.step)
        learner.save_learned(planned.folder / keeper.folder, {**facts, keeper.monitor: done.best.score})
        if (path := run.path(PredictionsFile)) is not None:
            write_predictions(path, done.outputs)
        if (path := run.path(MetricsFile)) is not None:
            write_metrics(path, map(MetricsRow.of, [*done.history, tested]))
        self._track(run, done, tested)
        result = RunResult(
            metric=metric,
            score=seven_digits(score),
            score_written=seven_digits(written["score_written"]) if written else None,
            dev_score=seven_digits(done.best.score),
            best_step=done.best.step,
            steps=done.steps,
            examples=done.examples,
            **retrieved(learner, data),
            resumed=resumed,
            fingerprint=planned.fingerprint,
            recipe=planned.recipe,
            arguments=planned.arguments,
            environment=environment(str(done.prompt.device), "bf16-mixed" if self._autocast(run) else "32-true"),
            side_by_side=len(self.runs),
            seconds=round(seconds, 2),
        )
        planned.files.finish(planned.identity, result)
        with planned.files.log.open("a", encoding="utf-8") as file:
            file.write(f"study: finished in {seconds:.1f} s\n")
        self.ended[planned.key] = "finished"

    def _track(self, run: _Run, done: RunProgress, tested: dict[str, Any]) -> None:
        """Log a run to W&B as it would have been logged alone; that this does not work costs the run nothing."""
        tracker = run.made.trainer["logger"]
        if tracker is False:
            return
        try:
            with output_to(run.planned.files.log):
                tracker.log_hyperparams({"config": run.made.config})
                rows = [{"step": step, "train/loss": loss} for step, loss in done.losses]
                for row in sorted([*rows, *done.history, tested], key=lambda row: row["step"]):
                    tracker.log_metrics({"epoch": 0} | {k: v for k, v in row.items() if k != "step"}, row["step"])
                tracker.log_hyperparams(run.planned.identity)
                if isinstance(tracker, Tracker):
                    tracker.log_prompt(run.planned.folder / run.made.callback(KeepBest).folder)
        except Exception as error:
            log.warning("%s is not on W&B: %s", run.planned.key, one_line(error))
        finally:
            end_run()

    def _fail(self, planned: PlannedRun, reason: str) -> None:
        if planned.files.is_finished:
            return
        planned.folder.mkdir(parents=True, exist_ok=True)
        print(f"study: {planned.key} failed: {reason}")
        planned.files.fail(reason, planned.arguments)
        self.ended[planned.key] = "failed"


def _packed(run: _Run) -> PackedRun:
    learner, data = run.made.learner, run.made.data
    optimizer = learner.make_optimizer()
    scheduler = learner.make_scheduler(optimizer)
    stopper = run.made.callback(EarlyStopping)
    labels = data.labels if learner.answers == "labels" else ()
    return PackedRun(run.planned.key, data, learner.prompt.weight, optimizer, scheduler, stopper, labels)


def _shape(made: MadeRun) -> tuple[Any, ...]:
    """What runs of one pack must have in common."""
    learner, trainer = made.learner, made.trainer
    steps = tuple(trainer[name] for name in ("max_steps", "val_check_interval", "log_every_n_steps", "precision"))
    return (learner.backbone_name, learner.backbone_options, learner.prompt_length, *steps)
