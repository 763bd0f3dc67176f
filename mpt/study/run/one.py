"""Doing one run of a study."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.environment import environment
from mpt.study.run.folder import clear, digits, end_run, fail, output_to, retrieved
from mpt.study.run.results import FAILED, LOG, RESULT, STARTED, read_json
from mpt.util.checkpoints import BadCheckpoint
from mpt.util.errors import NotFinite, UserError, mistake_behind, one_line
from mpt.util.files import write_json
from mpt.util.signals import signal_behind


def run_cell(cell: PlannedRun) -> str:
    """Do one run in its folder, from its checkpoint if it has one, and write its result or why there is
    none: ``"finished"`` or ``"failed"``.
    """
    folder = cell.folder
    start = time.monotonic()
    resumed = _resumable(cell)
    if not resumed:
        clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILED).unlink(missing_ok=True)
    write_json(folder / STARTED, {"fingerprint": cell.fingerprint, "recipe": cell.recipe})
    try:
        with output_to(folder / LOG):
            result = _fit_and_test(cell, resumed)
            end_run()
            result["seconds"] = round(result["seconds"] + time.monotonic() - start, 2)
            write_json(folder / RESULT, result)
            print(f"study: finished in {result['seconds']:.1f} s")
    except Exception as error:
        mistake = mistake_behind(error)
        if resumed and (mistake is None or isinstance(mistake, BadCheckpoint)):
            # A kill can leave half a checkpoint, which is worth no more than none.
            end_run()
            clear(folder)
            return run_cell(cell)
        fail(cell, str(mistake or one_line(error)))
        return "failed"
    except SystemExit as stop:
        if (ended_by := signal_behind(stop)) is None:
            raise
        fail(cell, f"it was stopped by {ended_by.name}; the study, started again, goes on with it")
        return "failed"
    finally:
        end_run()
    # Its use was to resume, and with a fine-tuned model it is the largest file.
    _checkpoint(cell).unlink(missing_ok=True)
    return "finished"


def _fit_and_test(cell: PlannedRun, resumed: bool) -> dict[str, Any]:
    from mpt.callbacks import KeepBest
    from mpt.fit.command import RunCLI, run_lightning

    class Judged(RunCLI):
        def fit(self, model: Any, **options: Any) -> None:
            """A downstream run that diverged is judged by what it kept before, as one in a pack is."""
            try:
                self.trainer.fit(model, **options)
            except NotFinite as error:
                keepers: list[Any] = [part for part in self.trainer.callbacks if isinstance(part, KeepBest)]  # type: ignore[attr-defined]
                if cell.stage != "downstream" or not any(part.best_step is not None for part in keepers):
                    raise
                print(f"study: it ended at step {self.trainer.global_step}: {error}")

    arguments = cell.arguments
    if resumed:
        arguments.append(f"--ckpt_path={_checkpoint(cell)}")
    print(f"study: mpt {' '.join(arguments)}", flush=True)
    try:
        cli = run_lightning(arguments, Judged)
    except SystemExit as stop:
        if signal_behind(stop) is not None:
            raise
        raise UserError(f"the command line was refused ({stop.code}); see {cell.folder / LOG}") from stop
    trainer: Any = cli.trainer
    keeper = next((part for part in trainer.callbacks if isinstance(part, KeepBest)), None)
    result: dict[str, Any] = {
        **cell.known,
        "metric": None,
        "score": None,
        "dev_score": digits(keeper.best) if keeper and keeper.monitor and keeper.best_step is not None else None,
        "best_step": keeper.best_step if keeper else None,
        "steps": trainer.global_step,
        "examples": getattr(cli.model, "examples", None),
    }
    if trainer.logger is not None:
        trainer.logger.log_hyperparams(cell.known)
    result |= retrieved(cli.model, cli.datamodule)
    if cell.stage == "downstream":
        trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
        result["metric"] = cli.datamodule.task.metric
        result["score"] = digits(trainer.callback_metrics["test/score"])
    return {
        **result,
        "resumed": resumed,
        "fingerprint": cell.fingerprint,
        "recipe": cell.recipe,
        "arguments": cell.arguments,
        "environment": environment(str(trainer.strategy.root_device)),
        "seconds": getattr(cli.model, "seconds_before", 0.0),  # of training before it was killed
    }


def _resumable(cell: PlannedRun) -> bool:
    started = cell.folder / STARTED
    if not (started.is_file() and _checkpoint(cell).is_file()):
        return False
    return read_json(started)["fingerprint"] == cell.fingerprint


def _checkpoint(cell: PlannedRun) -> Path:
    from mpt.callbacks import ResumePoint

    return ResumePoint.path(cell.folder)
