"""Runs that another folder of the same study, or of one like it, has finished already."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mpt.record.folder import ADAPTER, LOG, MODEL, OWN, PROMPT, RESULT, RunFolder
from mpt.study.plan.planned_run import PlannedRun
from mpt.util.errors import UserError
from mpt.util.files import new_folder, refuse_links


def take_over(runs: Sequence[PlannedRun], folder: Path) -> int:
    """Copy the finished runs of another folder that are these very runs, to the option, datum and weight: how many.

    A run goes by its fingerprint, so that a study with more draws or methods takes what it shares with a smaller one.
    One that has a folder here is left as it is, and one that others start from is taken with what it learned alone.

    Args:
        folder: of a study, with at least ``result.json`` of each of its runs, and ``prompt`` of those that others
            start from.

    Raises:
        UserError: it is no folder, a result in it is damaged, or a link leads out of it.
    """
    if not folder.is_dir():
        raise UserError(f"--reuse {folder}: no such folder")
    taken, needed = 0, {key for run in runs for key in run.needs}
    for run in runs:
        found = RunFolder(folder / run.key)
        if run.folder.exists() or not run.fingerprint or not found.is_finished:
            continue
        result = found.result()
        if result is None or result.fingerprint != run.fingerprint:
            continue
        if run.key in needed and not any((found.path / name).is_dir() for name in (PROMPT, MODEL, ADAPTER)):
            continue
        names = [name for name in (*OWN, RESULT, LOG) if (found.path / name).exists()]
        refuse_links(found.path, names, f"run {found.path}")
        with new_folder(run.folder) as fresh:
            for name in names:
                source = found.path / name
                (shutil.copytree if source.is_dir() else shutil.copyfile)(source, fresh / name)
        taken += 1
    return taken
