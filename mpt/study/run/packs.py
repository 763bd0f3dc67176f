"""Where the state of a pack of runs at work lies, and which packs of a study left one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mpt.study.plan.planned_run import PlannedRun
from mpt.util.errors import UserError
from mpt.util.files import write_json
from mpt.util.reading import read_json

PACKS = ".packs"
"""Folder below a study's for the state, the members and the log of each pack at work."""


class PackFiles:
    """The files of a pack at work, which are named for its runs and what these are."""

    def __init__(self, unit: Sequence[PlannedRun]) -> None:
        name = hashlib.sha256(json.dumps([[run.key, run.fingerprint] for run in unit]).encode()).hexdigest()[:16]
        self.state = unit[0].out / PACKS / f"{name}.pt"
        self.log = self.state.with_suffix(".txt")
        self.members = self.state.with_suffix(".json")
        self.keys = [run.key for run in unit]

    def begin(self) -> None:
        """Say whose the state will be, and forget the log of an earlier start."""
        write_json(self.members, {"runs": self.keys})
        self.log.unlink(missing_ok=True)

    def clear(self) -> None:
        """The pack is done with."""
        for path in (self.state, self.members):
            path.unlink(missing_ok=True)


def begun(runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, ...]]:
    """The packs that left a state, of these runs as they are planned today, a run in one pack at most."""
    known = {run.key: run for run in runs}
    found: list[tuple[PlannedRun, ...]] = []
    for state in sorted((runs[0].out / PACKS).glob("*.pt")) if runs else ():
        keys = _members(state.with_suffix(".json"))
        if not keys or not known.keys() >= set(keys):
            continue
        unit = tuple(known[key] for key in keys)
        if PackFiles(unit).state == state:
            found.append(unit)
            known = {key: run for key, run in known.items() if key not in keys}
    return found


def clear_packs(runs: Sequence[PlannedRun], whole: bool = False) -> None:
    """Take away what a kill left of packs that are done with.

    Args:
        whole: whether these are all runs of the study and nobody is at work on them, so that what is of no pack of
            theirs is of no use either, such as the state of runs that have changed since.
    """
    known, going = {run.key: run for run in runs}, {PackFiles(unit).state.stem for unit in begun(runs)}
    left: dict[str, list[Path]] = {}
    for path in (runs[0].out / PACKS).glob("*") if runs else ():
        left.setdefault(path.name.lstrip(".").split(".")[0], []).append(path)  # hidden: half written
    for name, paths in left.items():
        keys = _members(paths[0].with_name(f"{name}.json"))
        done = bool(keys) and all(key in known and known[key].files.is_finished for key in keys)
        if done or (whole and name not in going):
            for path in paths:
                with suppress(OSError):  # no file, and none of ours
                    path.unlink()


def _members(path: Path) -> list[str]:
    try:
        keys = read_json(path).get("runs")
    except UserError:
        return []
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else []
