"""Runs of a study, done in the process that asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import units
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.worker import run_unit
from mpt.study.spec.study import load_study


def pack(file: Path, out: Path) -> tuple[PlannedRun, ...]:
    """The first four runs that go side by side."""
    cells = plan(load_study(file), out)
    return next(unit for unit in units(cells, 4) if len(unit) == 4)


def do(cells: Sequence[PlannedRun]) -> None:
    """What is not finished yet."""
    for unit in units(cells, 8):
        if not all((cell.folder / "result.json").exists() for cell in unit):
            assert set(run_unit(unit, {}).values()) == {"finished"}
