"""What the folder of a study's run holds while it goes, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.results import FAILED, LOG, RESULT, STARTED
from mpt.util.files import write_json


def fail(cell: PlannedRun, reason: str) -> None:
    """Record why a run has no result."""
    # The name tells this failure from one before it.
    facts = {"reason": reason, "arguments": cell.arguments, "log": str(cell.folder / LOG), "id": uuid.uuid4().hex}
    write_json(cell.folder / FAILED, facts)


def retrieved(learner: Any, data: Any) -> dict[str, Any]:
    """What a run took from a library: ``source`` and ``similarity``, a list each where it was several; else nothing."""
    if (taken := getattr(data, "retrieved", None)) is not None:
        from mpt.library.retrieval import told

        return told(taken.hits, [hit.entry.task for hit in taken.hits])
    return dict(getattr(getattr(learner, "init", None), "origin", None) or {})


def digits(value: Any) -> float:
    """As many digits as Lightning's float32 has."""
    return float(f"{float(value):.7g}")


def clear(folder: Path) -> None:
    """Take away what an unfinished run of ours left; never anything else."""
    if (folder / STARTED).is_file() and not (folder / RESULT).exists():
        shutil.rmtree(folder)


def end_run() -> None:
    """End the W&B run and free the model, so that the next run in this process starts as in a fresh one."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()
    gc.collect()


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
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
