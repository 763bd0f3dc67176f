"""Doing one run of a study."""

from __future__ import annotations

import gc
import math
import sys
import time
from dataclasses import replace
from typing import Any

from mpt.record.result import RunResult
from mpt.record.rows import seven_digits
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.environment import environment
from mpt.util.best import Best
from mpt.util.checkpoints import BadCheckpoint
from mpt.util.errors import NotFinite, UserError, mistake_behind, one_line, system_mistake
from mpt.util.output import output_to
from mpt.util.signals import signal_behind


def do_run(run: PlannedRun) -> str:
    """Do one run in its folder, from its checkpoint if it has one, and write its result or why there is
    none: ``"finished"`` or ``"failed"``.
    """
    folder = run.files
    start = time.monotonic()
    resumed = folder.is_resumable(run.fingerprint)
    folder.start(run.fingerprint, run.recipe, resumed)
    try:
        with output_to(folder.log):
            result = _fit_and_test(run, resumed)
            end_run()
            result = replace(result, seconds=round(result.seconds + time.monotonic() - start, 2))
            folder.finish(run.identity, result)
            print(f"study: finished in {result.seconds:.1f} s")
    except Exception as error:
        mistake = mistake_behind(error)
        is_unclear = mistake is None and system_mistake(error) is None
        if resumed and (is_unclear or isinstance(mistake, BadCheckpoint)):
            # A kill can leave half a checkpoint, which is worth no more than none.
            end_run()
            folder.clear()
            return do_run(run)
        folder.fail(str(mistake or system_mistake(error) or one_line(error)), run.arguments)
        return "failed"
    except SystemExit as stop:
        if (ended_by := signal_behind(stop)) is None:
            raise
        folder.fail(f"it was stopped by {ended_by.name}; the study, started again, goes on with it", run.arguments)
        return "failed"
    finally:
        end_run()
    folder.tidy()
    return "finished"


def _fit_and_test(run: PlannedRun, resumed: bool) -> RunResult:
    from mpt.callbacks import KeepBest
    from mpt.fit.command import RunCLI, run_lightning

    class KeepsDivergedRun(RunCLI):
        def fit(self, model: Any, **options: Any) -> None:
            """A downstream run that diverged is judged by what it kept before, as one in a pack is."""
            try:
                self.trainer.fit(model, **options)
            except NotFinite as error:
                keepers: list[Any] = [part for part in self.trainer.callbacks if isinstance(part, KeepBest)]  # type: ignore[attr-defined]
                if run.stage != "downstream" or not any(part.best.step is not None for part in keepers):
                    raise
                print(f"study: it ended at step {self.trainer.global_step}: {error}")

    arguments = run.arguments
    if resumed:
        arguments.append(f"--ckpt_path={run.files.checkpoint}")
    print(f"study: mpt {' '.join(arguments)}", flush=True)
    try:
        cli = run_lightning(arguments, KeepsDivergedRun)
    except SystemExit as stop:
        if signal_behind(stop) is not None:
            raise
        raise UserError(f"the command line was refused ({stop.code}); see {run.files.log}") from stop
    trainer: Any = cli.trainer
    best = next((part.best for part in trainer.callbacks if isinstance(part, KeepBest)), Best())
    if trainer.logger is not None:
        trainer.logger.log_hyperparams(run.identity)
    steps = trainer.global_step
    taken = retrieved(cli.model, cli.datamodule)
    tested: dict[str, Any] = {}
    if run.stage == "downstream":  # a test has been made
        trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    if run.stage != "upstream":
        score = seven_digits(trainer.callback_metrics["test/score"])
        tested = {"metric": cli.datamodule.task.metric, "score": score}
        if (written := trainer.callback_metrics.get("test/score_written")) is not None:
            tested["score_written"] = seven_digits(written)
        measured = {name.removeprefix("test/"): value for name, value in trainer.callback_metrics.items()}
        if measures := {name: seven_digits(value) for name, value in measured.items() if "/" in name}:
            tested["measures"] = measures
    return RunResult(
        **tested,
        dev_score=seven_digits(best.score) if math.isfinite(best.score) and not best.lowest else None,
        best_step=best.step,
        steps=steps,
        examples=getattr(cli.model, "examples", None),
        **taken,
        resumed=resumed,
        fingerprint=run.fingerprint,
        recipe=run.recipe,
        arguments=run.arguments,
        environment=environment(str(trainer.strategy.root_device), str(trainer.precision)),
        seconds=getattr(cli.model, "seconds_before", 0.0),  # of training before it was killed
    )


def retrieved(learner: Any, data: Any) -> dict[str, Any]:
    """What a run took from a library: ``source`` and ``similarity``, a list each where it was several; else nothing."""
    if (taken := getattr(getattr(data, "given", None), "retrieved", None)) is not None:
        from mpt.library.retrieval import sources_and_similarities

        return sources_and_similarities(taken.hits, [hit.entry.task for hit in taken.hits])
    return dict(getattr(getattr(learner, "init", None), "origin", None) or {})


def end_run() -> None:
    """End the W&B run and free the model, so that the next run in this process starts as in a fresh one."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()
    gc.collect()
