"""Kills at any moment, and several processes on one folder: the result files of an undisturbed run, no run twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from support.changes import changed_file
from support.quick_start import start
from support.seven_runs import RUNS, content, times_done, wait_for, write_seven
from support.study_command import results


@pytest.fixture(scope="module")
def file(tmp_path_factory, model_folder) -> Path:
    return write_seven(tmp_path_factory.mktemp("study"), model_folder("t5"))


@pytest.fixture(scope="module")
def quiet(file, tmp_path_factory) -> tuple[dict[str, bytes], float, float]:
    """What an undisturbed study leaves, the seconds to its first run, and those of a run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    start(folder / "warm", "--help").join(200)
    begin = time.time()
    process = at_work(folder / "told", file, folder / "out")
    process.join(200)
    assert process.exitcode == 0, (folder / "told").read_text()
    first = min(times(folder / "out", "started.json").values()) / 1e9 - begin
    runs = [result["seconds"] for result in results(folder / "out").values()]
    return content(folder / "out"), min(first, 8.0), min(sum(runs) / RUNS, 2.0)


@pytest.fixture
def undisturbed(quiet) -> dict[str, bytes]:
    return quiet[0]


def at_work(told: Path, file: Path, out: Path, workers: int = 1) -> BaseProcess:
    """The study's process, with workers as a user's has them."""
    return start(told, "run", file, "--out", out, "--workers", workers, spawn=True)


def times(out: Path, name: str) -> dict[Path, int]:
    """When each file of a name was written."""
    found = {}
    for path in out.glob(f"*/*/{name}"):
        with contextlib.suppress(FileNotFoundError):  # a run without a checkpoint begins anew
            found[path] = path.stat().st_mtime_ns
    return found


MOMENTS = ("begun", "before", "begun", "finished", "begun", "before", "finished", "begun", "before", "begun")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # eleven starts, of which a busy machine makes minutes
def test_kills_at_random_moments(file, quiet, tmp_path):
    """Before a first run is begun, within runs, and between them, however slow the machine."""
    undisturbed, until_first, of_a_run = quiet
    out, told = tmp_path / "out", tmp_path / "told"
    rng, written, within = random.Random(5), {}, 0
    for moment in MOMENTS:
        begun, finished = times(out, "started.json"), times(out, "result.json")
        process = at_work(told, file, out)
        if moment == "before":
            time.sleep(rng.uniform(0.0, until_first))
        else:
            name, known = ("started.json", begun) if moment == "begun" else ("result.json", finished)
            wait_for(lambda name=name, known=known: times(out, name) != known or len(results(out)) == RUNS)
            time.sleep(rng.uniform(0.0, of_a_run if moment == "begun" else 0.1))
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        now = times(out, "result.json")
        assert written.items() <= now.items(), "a finished run was done again"
        written = now
        new = times(out, "started.json").items() - begun.items()
        within += any(path.with_name("result.json") not in now for path, _ in new)
    assert within, "no kill was within a run"
    process = at_work(told, file, out, workers=2)
    process.join(200)
    assert process.exitcode == 0, told.read_text()
    assert content(out) == undisturbed
    # A run says so right after its result is written: twice would be a run done again, a kill may leave none.
    assert max(finished for _, finished in times_done(out).values()) == 1


@pytest.mark.long
def test_two_processes_share_the_runs(file, undisturbed, tmp_path):
    out, told = tmp_path / "out", [tmp_path / "first", tmp_path / "second"]
    both = [start(path, "run", file, "--out", out, "--workers", "1") for path in told]
    for process in both:
        process.join(200)
    texts = [path.read_text() for path in told]
    assert [process.exitcode for process in both] == [0, 0], texts
    assert content(out) == undisturbed
    assert set(times_done(out).values()) == {(1, 1)}
    for text in texts:
        assert f"{RUNS} runs to do" in text and f"[{RUNS}/{RUNS}]" in text
        assert "ARG (%)" in text and "FAILED" not in text
    assert sum("the runs are shared" in text for text in texts) == 1


@pytest.mark.long
def test_what_a_killed_process_was_doing_the_other_takes_over(file, undisturbed, tmp_path):
    out, told = tmp_path / "out", [tmp_path / "first", tmp_path / "second"]
    first, second = (at_work(path, file, out) for path in told)
    wait_for(lambda: len(results(out)) >= 3)
    os.kill(first.pid, signal.SIGKILL)
    second.join(200)
    assert second.exitcode == 0, told[1].read_text()
    assert content(out) == undisturbed
    assert max(finished for _, finished in times_done(out).values()) == 1


@pytest.mark.long
def test_a_failing_run_is_tried_once_by_all_and_both_say_so(file, tmp_path):
    limit = {("methods", "MTL", "upstream", "overrides", "data.limit"): -1, "targets": ["ag_news"]}
    broken = changed_file(file, limit, file.with_name("broken.yaml"))
    out, told = tmp_path / "out", [tmp_path / "first", tmp_path / "second"]
    both = [start(path, "run", broken, "--out", out, "--workers", "1") for path in told]
    for process in both:
        process.join(200)
    assert [process.exitcode for process in both] == [1, 1]
    for path in told:
        assert path.read_text().count("FAILED") == 2 and "missing: MTL/upstream-13" in path.read_text()
    assert (out / "MTL/upstream-13/log.txt").read_text().count("study: mpt fit") == 1
    failure = json.loads((out / "MTL/upstream-13/failed.json").read_text())
    # Whoever comes afterwards tries again.
    again = start(tmp_path / "third", "run", broken, "--out", out, "--workers", "1")
    again.join(200)
    assert "2 runs to do" in (tmp_path / "third").read_text()
    anew = json.loads((out / "MTL/upstream-13/failed.json").read_text())
    assert anew["reason"] == failure["reason"] and anew["id"] != failure["id"]
