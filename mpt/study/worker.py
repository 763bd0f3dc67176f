"""A worker of a study: a process that imports the heavy libraries once and then does one unit of runs after
another.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mpt.checkpoints import BadCheckpoint
from mpt.errors import NotFinite, UserError, mistake_behind, one_line
from mpt.files import write_json
from mpt.signals import signal_behind
from mpt.study.claims import Failures, claim, settled
from mpt.study.environment import environment
from mpt.study.plan import Cell
from mpt.study.results import FAILED, LOG, RESULT, STARTED, read_json


def work(connection: Connection, threads: int, device: str | None, past: Failures) -> None:
    """Serve the parent until it says so or is gone.

    Messages are ``("check", cells)``, answered by ``("checked", None or a sentence)``, and ``("run",
    unit)``, answered by ``("ended", {key: "finished", "failed" or "elsewhere"})`` once the cells' files say the same;
    None ends.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    prepare(threads, device)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while (message := connection.recv()) is not None:
            word, content = message
            connection.send(answer(word, content, past))


def answer(word: str, content: Any, past: Failures) -> tuple[str, Any]:
    """What a worker says to a message: see :func:`work`."""
    return ("checked", check(content)) if word == "check" else ("ended", run_unit(content, past))


def prepare(threads: int, device: str | None) -> None:
    """Set up this process for runs: import what takes seconds before the first work comes."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    import mpt.lightning_cli  # noqa: F401

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # The libraries' million objects stay; collecting garbage between runs need not look at them again.
    gc.collect()
    gc.freeze()


def _die_with_parent() -> None:
    # After kill -9 of the parent nobody else would stop this process, and a second study might do the same
    # run.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def check(cells: Sequence[Cell]) -> str | None:
    """Parse the options of some runs without doing them: what is wrong with the first that cannot be
    parsed.
    """
    from mpt.lightning_cli import RunCLI, run_lightning
    from mpt.loading import resolve

    class Parsed(Exception):
        pass

    class ParseOnly(RunCLI):
        def before_instantiate_classes(self) -> None:
            raise Parsed

    for cell in cells:
        said = io.StringIO()
        try:
            logging.disable()  # "Seed set to 13"
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                run_lightning(cell.arguments, ParseOnly)
        except Parsed:
            continue
        except SystemExit:
            return f"the options of {cell.key} do not fit its config: {parser_error(said.getvalue())}"
        except UserError as error:
            return f"{cell.key}: {error}"
        finally:
            logging.disable(logging.NOTSET)
    for option in dict.fromkeys(word for cell in cells for word in cell.arguments):
        if option.startswith("--model.backbone="):
            try:
                resolve(option.partition("=")[2])
            except UserError as error:
                return str(error)
    return None


def run_unit(unit: tuple[Cell, ...], past: Failures) -> dict[str, str]:
    """Do the runs of a unit: what became of each, by key; ``"elsewhere"`` if another process is at it, or was.

    Args:
        past: failures of runs that are to be tried again.
    """
    with claim(unit) as held:
        if not held or all(settled(cell, past) for cell in unit):
            return {cell.key: "elsewhere" for cell in unit}
        if len(unit) > 1:
            from mpt.study.pack_run import run_pack

            return run_pack(unit)
        return {cell.key: run_cell(cell) for cell in unit}


def run_cell(cell: Cell) -> str:
    """Do one run in its folder, from its checkpoint if it has one, and write its result or why there is
    none: ``"finished"`` or ``"failed"``.
    """
    folder = cell.folder
    start = time.monotonic()
    resumed = _resumable(cell)
    if not resumed:
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILED).unlink(missing_ok=True)
    write_json(folder / STARTED, {"fingerprint": cell.fingerprint, "recipe": cell.recipe})
    try:
        with _output_to(folder / LOG):
            result = _fit_and_test(cell, resumed)
            _let_go()
            result["seconds"] = round(result["seconds"] + time.monotonic() - start, 2)
            write_json(folder / RESULT, result)
            print(f"study: finished in {result['seconds']:.1f} s")
    except Exception as error:
        mistake = mistake_behind(error)
        if resumed and (mistake is None or isinstance(mistake, BadCheckpoint)):
            # A kill can leave half a checkpoint, which is worth no more than none.
            _let_go()
            _clear(folder)
            return run_cell(cell)
        fail(cell, str(mistake or one_line(error)))
        return "failed"
    except SystemExit as stop:
        if (ended_by := signal_behind(stop)) is None:
            raise
        fail(cell, f"it was stopped by {ended_by.name}; the study, started again, goes on with it")
        return "failed"
    finally:
        _let_go()
    # Its use was to resume, and with a fine-tuned model it is the largest file.
    _checkpoint(cell).unlink(missing_ok=True)
    return "finished"


def fail(cell: Cell, reason: str) -> None:
    """Record why a run has no result."""
    # The name tells this failure from one before it.
    facts = {"reason": reason, "arguments": cell.arguments, "log": str(cell.folder / LOG), "id": uuid.uuid4().hex}
    write_json(cell.folder / FAILED, facts)


def _fit_and_test(cell: Cell, resumed: bool) -> dict[str, Any]:
    from mpt.callbacks import KeepBest
    from mpt.lightning_cli import RunCLI, run_lightning

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
        "dev_score": _digits(keeper.best) if keeper and keeper.monitor and keeper.best_step is not None else None,
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
        result["score"] = _digits(trainer.callback_metrics["test/score"])
    return {
        **result,
        "resumed": resumed,
        "fingerprint": cell.fingerprint,
        "recipe": cell.recipe,
        "arguments": cell.arguments,
        "environment": environment(str(trainer.strategy.root_device)),
        "seconds": getattr(cli.model, "seconds_before", 0.0),  # of training before it was killed
    }


def retrieved(learner: Any, data: Any) -> dict[str, Any]:
    """What a run took from a library: ``source`` and ``similarity``, a list each where it was several; else nothing."""
    if (taken := getattr(data, "retrieved", None)) is not None:
        from mpt.transfer.retrieval import told

        return told(taken.hits, [hit.entry.task for hit in taken.hits])
    return dict(getattr(getattr(learner, "init", None), "origin", None) or {})


def _digits(value: Any) -> float:
    """As many digits as Lightning's float32 has."""
    return float(f"{float(value):.7g}")


def _resumable(cell: Cell) -> bool:
    started = cell.folder / STARTED
    if not (started.is_file() and _checkpoint(cell).is_file()):
        return False
    return read_json(started)["fingerprint"] == cell.fingerprint


def _checkpoint(cell: Cell) -> Path:
    from mpt.callbacks import ResumePoint

    return ResumePoint.path(cell.folder)


def _clear(folder: Path) -> None:
    """Take away what an unfinished run of ours left; never anything else."""
    if (folder / STARTED).is_file() and not (folder / RESULT).exists():
        shutil.rmtree(folder)


def _let_go() -> None:
    """End the W&B run and free the model, so that the next run in this process starts as in a fresh one."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()
    gc.collect()


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send everything this process prints, from C too, to a file; exceptions end there with their
    traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def parser_error(text: str) -> str:
    """The reason in what jsonargparse prints before it exits: its innermost sentence, with the option it is
    about.
    """
    lines = [" ".join(line.split()) for line in text.partition("error: ")[2].splitlines() if line.strip()]
    keys = [match[1] for line in lines if (match := re.search(r'Parser key "([^"]+)"', line))]
    known = (
        "not accepted",
        "Got value",
        "Unrecognized arguments",
        "is required",
        "not found",
        "Unable to import",
    )
    reason = next((line.removeprefix("- ") for line in lines if any(word in line for word in known)), None)
    if reason is None:
        return " ".join(lines)[:300] or "the parser gave no reason"
    return f"{'.'.join(keys)}: {reason}" if keys else reason
