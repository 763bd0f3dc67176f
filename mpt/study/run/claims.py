"""Who is at work on what in a study's folder, so that several processes, on several machines, can share it.

A claim is a lock of the operating system (flock) on a file below ``<out>/.claims``: one per run while it is done,
one that all processes at work in the folder share. The kernel lets go of it however its process ends, so nothing is
left to clean up after a kill.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.results import difference, is_finished
from mpt.util.errors import UserError
from mpt.util.files import only_one, write_json, write_text
from mpt.util.places import open_own, refuse_link
from mpt.util.reading import read_json

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

Failures = Mapping[str, str]
"""The name of each failure on record, by the key of its run."""

CLAIMS = ".claims"
_JOINING, _AT_WORK, _REPORT = "door", "present", "report"
"""Locks: of who is about to join, shared by all at work, of who writes the report."""
_GROUP, _PLAN, _LOGGED = "group_at_work", "plan.json", "logged"


@contextmanager
def claim(unit: Sequence[PlannedRun]) -> Iterator[bool]:
    """Hold all runs of a unit, or none: whether they are held."""
    if fcntl is None:  # nobody else is at work, see join()
        yield True
        return
    with ExitStack() as opened:
        files = []
        for run in sorted(unit, key=lambda run: run.key):
            file = opened.enter_context(_open(run.out, run.key.replace("/", "__") + ".lock"))
            if not _try_lock(file):
                yield False
                return
            files.append(file)
        try:
            yield True
        finally:
            for file in files:  # said, not left to closing: a process that was forked meanwhile has the file open too
                fcntl.flock(file, fcntl.LOCK_UN)


def failures(runs: Sequence[PlannedRun]) -> Failures:
    """The failures on record, by run: those of the past, if asked before the work begins."""
    found = {run.key: run.files.failure() for run in runs}
    return {key: failure.id for key, failure in found.items() if failure is not None}


def settled(run: PlannedRun, past: Failures) -> str | None:
    """Whether a run is ``"finished"``, or has ``"failed"``; none if it is still to be done.

    Args:
        past: failures that do not count. One that another process made since then does: a run is tried once by all
            that are at work.
    """
    if is_finished(run):
        return "finished"
    failure = run.files.failure()
    return "failed" if failure is not None and failure.id != past.get(run.key) else None


@contextmanager
def join(runs: Sequence[PlannedRun], out: Path, begin: Callable[[], object]) -> Iterator[bool]:
    """Be at work in a study's folder: whether others are already.

    Args:
        begin: done if there are no others, before any can come.

    Raises:
        UserError: the others have another plan; locks do not work there; on a system without flock, there are others.
    """
    busy = f"another mpt study run is at work in {out}"
    if fcntl is None:
        with only_one(out, f"{busy}; wait for it, or give another --out"):
            _write_plan(runs, out)
            begin()
            yield False
        return
    with _open(out, _AT_WORK) as at_work:
        with _open(out, _JOINING) as joining:
            _lock(joining, fcntl.LOCK_EX, out)
            others = not _try_lock(at_work)
            if others:
                _check_plan(runs, _their_plan(out), busy)
            else:
                begin()
                _write_plan(runs, out)
            # Letting go of the one and taking the other is not one step, but nobody else can join meanwhile.
            _lock(at_work, fcntl.LOCK_SH, out)
        yield others


@contextmanager
def reporting(out: Path) -> Iterator[None]:
    """Hold the lock for writing the report."""
    with _open(out, _REPORT) as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_logged(out: Path) -> bool:
    """Whether one of those at work has logged the report."""
    path = out / CLAIMS / _LOGGED
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace") == group_at_work(out)


def set_logged(out: Path) -> None:
    """Say that the report is logged."""
    write_text(out / CLAIMS / _LOGGED, group_at_work(out) or "")


def group_at_work(out: Path) -> str | None:
    """The name of those at work in a study's folder: of the first process, and of all that came while any was there."""
    try:
        return (out / CLAIMS / _GROUP).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _open(out: Path, name: str) -> IO[str]:
    folder = out / CLAIMS
    refuse_link(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.fdopen(open_own(folder / name), "r+")  # NFS gives no lock to write on what is open for reading alone
    except OSError as error:
        raise UserError(f"{folder / name} cannot be written to: {error.strerror}; remove {folder}") from error


def _lock(file: IO[str], how: int, out: Path) -> None:
    try:
        fcntl.flock(file, how)
    except OSError as error:
        raise UserError(
            f"{out} is on a file system without locks ({error.strerror}), which keep two processes from doing "
            "the same run; give an --out on another"
        ) from error


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_plan(runs: Sequence[PlannedRun], out: Path) -> None:
    plan = {run.key: {"fingerprint": run.fingerprint, "recipe": run.recipe} for run in runs}
    write_json(out / CLAIMS / _PLAN, {"runs": plan})
    write_text(out / CLAIMS / _GROUP, uuid.uuid4().hex)


def _their_plan(out: Path) -> Mapping[str, Any]:
    path = out / CLAIMS / _PLAN
    runs = read_json(path).get("runs")
    if not isinstance(runs, dict) or not all(
        isinstance(run, dict) and {"fingerprint", "recipe"} <= run.keys() and isinstance(run["recipe"], list)
        for run in runs.values()
    ):
        raise UserError(f"{path} is not as mpt study run writes it; end what is at work in {out}, and start it again")
    return runs


def _check_plan(runs: Sequence[PlannedRun], theirs: Mapping[str, Any], busy: str) -> None:
    end = "wait for it, or give another --out"
    for run in runs:
        if run.key in theirs and theirs[run.key]["fingerprint"] != run.fingerprint:
            raise UserError(
                f"{busy}, and not on today's {run.key}: {difference(run, theirs[run.key]['recipe'])}; {end}"
            )
    if strange := sorted({run.key for run in runs} ^ set(theirs)):
        raise UserError(f"{busy} on a study of other runs ({len(strange)} differ, such as {strange[0]}); {end}")
