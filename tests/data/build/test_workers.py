"""Many tasks at once: failures and deaths stay where they are, and a killed build goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.crossfit_files import Deadly, Slow, own_task, write_own, write_raw
from support.study_command import heed_ctrl_c

from mpt.data.build.build import BuildJob
from mpt.data.build.workers import BuildOutcome, attempt, build_all
from mpt.util.errors import UserError

NAMES = [f"own{i}" for i in range(6)]


@pytest.fixture
def jobs(tmp_path):
    raw = tmp_path / "raw"
    return [BuildJob(own_task(tmp_path, name), tmp_path / "root", raw=write_raw(raw, name, 200)) for name in NAMES]


def tree(root: Path):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.glob("*/*")}


def results(outcomes):
    return sorted((outcome.job.task.name, outcome.result) for outcome in outcomes)


@pytest.mark.long
def test_processes_give_what_one_gives(jobs, tmp_path):
    assert results(build_all(jobs, 1)) == [(name, "built") for name in NAMES]
    alone = tree(tmp_path / "root")
    (tmp_path / "root").rename(tmp_path / "alone")
    assert results(build_all(jobs, 2)) == [(name, "built") for name in NAMES]
    assert tree(tmp_path / "root") == alone
    assert results(build_all(jobs, 2)) == [(name, "there already") for name in NAMES]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_fails_stops_no_other(jobs, tmp_path, workers):
    (tmp_path / "raw" / "own2.test.tsv").write_text("a\tmaybe\n")
    outcomes = list(build_all(jobs, workers))
    assert results(outcomes) == [(name, "failed" if name == "own2" else "built") for name in NAMES]
    assert "own2.test.tsv, line 1 has the output 'maybe'" in next(o.reason for o in outcomes if o.result == "failed")
    assert sorted(os.listdir(tmp_path / "root")) == [name for name in NAMES if name != "own2"]


@pytest.mark.long
def test_one_whose_process_dies_stops_no_other(jobs):
    jobs[0] = Slow(jobs[0].task, jobs[0].root, raw=jobs[0].raw)
    jobs[1] = Deadly(jobs[1].task, jobs[1].root, raw=jobs[1].raw)
    outcomes = list(build_all(jobs, 2))
    # The slow one was at work in the other process when that one died, and is done again alone.
    assert results(outcomes) == [(name, "failed" if name == "own1" else "built") for name in NAMES]
    assert "died, perhaps for lack of memory" in next(o.reason for o in outcomes if o.result == "failed")


def test_leaving_early_ends_the_processes(jobs):
    outcomes = build_all(jobs, 2)
    next(outcomes)
    outcomes.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("Said so."), "Said so."),
        (OSError(28, "No space left on device", "/x/y"), "No space left on device: /x/y."),
        (MemoryError(), "there is not enough memory; try fewer --workers."),
        (TypeError("a fault"), "TypeError: a fault"),
    ],
)
def test_every_error_is_an_outcome(jobs, capsys, error, reason):
    def make(job, fetch):
        raise error

    assert attempt(jobs[0], lambda source, split: [], make) == BuildOutcome(jobs[0], "failed", reason)
    assert ("Traceback" in capsys.readouterr().err) == isinstance(error, TypeError)


# The command, killed midway


@pytest.fixture
def command(tmp_path):
    """A build of seconds in a process group of its own."""
    raw, names = tmp_path / "raw", []
    for name in NAMES:
        names.append(write_own(tmp_path / f"{name}.yaml"))
        write_raw(raw, name, 20_000)
    words = [sys.executable, "-m", "mpt", "data", "build", *names, "--raw", raw, "--k", "all", "--workers", "2"]

    def start(root: Path) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*words, "--root", root], start_new_session=True, preexec_fn=heed_ctrl_c, **pipes)

    return start


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_build_stopped_midway_goes_on(command, tmp_path, how):
    root = tmp_path / "root"
    with command(root) as building:
        # One task is there, and another is being written.
        deadline = time.monotonic() + 30
        while not (list(root.glob("own*")) and list(root.glob(".own*.new/*.tsv"))):
            assert building.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        if how == signal.SIGKILL:
            building.kill()  # its workers are left to themselves
        else:
            os.killpg(building.pid, how)  # as Ctrl-C does, to all of them
        building.communicate(timeout=10)  # ends when no process holds the pipes: the workers end too
    assert building.returncode == (-9 if how == signal.SIGKILL else 130)
    done = list(root.glob("own*"))
    assert 1 <= len(done) < len(NAMES)
    assert all((folder / "build.json").is_file() and len(list(folder.iterdir())) == 16 for folder in done)
    assert how == signal.SIGKILL or not list(root.glob(".*.new"))
    with command(root) as again:
        out, _ = again.communicate()
    assert again.returncode == 0 and f"there already │     {len(done)}" in out
    assert sorted(os.listdir(root)) == [".lock", *NAMES]
    with command(tmp_path / "fresh") as fresh:
        fresh.communicate()
    assert tree(root) == tree(tmp_path / "fresh")
