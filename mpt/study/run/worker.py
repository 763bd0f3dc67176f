"""A worker of a study: a process that imports the heavy libraries once, then does one unit of runs after another."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.claims import Failures, claim, settled
from mpt.study.run.one import do_run
from mpt.util.errors import UserError
from mpt.util.processes import end_with_parent


def work(connection: Connection, threads: int, device: str | None, past: Failures) -> None:
    """Serve the parent until it says so or is gone.

    Messages are ``("check", runs)``, answered by ``("checked", None or a sentence)``, and ``("run", unit)``, answered
    by ``("ended", {key: "finished", "failed" or "elsewhere"})`` once the runs' files say the same; None ends.
    """
    end_with_parent()
    prepare(threads, device)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while (message := connection.recv()) is not None:
            word, content = message
            connection.send(answer(word, content, past))


def answer(word: str, content: Any, past: Failures) -> tuple[str, Any]:
    """What a worker says to a message: see :func:`work`."""
    return ("checked", check(content)) if word == "check" else ("ended", run_unit(content, past))


def check(runs: Sequence[PlannedRun]) -> str | None:
    """Parse the options of some runs without doing them: what is wrong with the first that cannot be parsed."""
    from mpt.backbone.source import resolve
    from mpt.fit.parse import parse_run

    backbones = set()
    for run in runs:
        try:
            backbones.add(parse_run(run.arguments)["model.backbone"])
        except UserError as error:
            return f"{run.key}: {error}"
    for backbone in sorted(backbones):
        try:
            resolve(backbone)
        except UserError as error:
            return str(error)
    return None


def prepare(threads: int, device: str | None) -> None:
    """Set up this process for runs: import what takes seconds before the first work comes."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    import mpt.fit.command  # noqa: F401

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # The libraries' million objects stay; collecting garbage between runs need not look at them again.
    gc.collect()
    gc.freeze()


def run_unit(unit: tuple[PlannedRun, ...], past: Failures) -> dict[str, str]:
    """Do the runs of a unit: what became of each, by key; ``"elsewhere"`` if another process is at it, or was.

    Args:
        past: failures of runs that are to be tried again.
    """
    with claim(unit) as held:
        if not held or all(settled(run, past) for run in unit):
            return {run.key: "elsewhere" for run in unit}
        if len(unit) > 1:
            from mpt.study.run.side_by_side import run_pack

            return run_pack(unit)
        return {run.key: do_run(run) for run in unit}
