"""The benchmark of runs side by side runs on a tiny model, and its ratios are what they say."""

from __future__ import annotations

import csv
import json
import logging

import pytest
import side_by_side
from support.small_models import t5

TINY = ["--steps", "2", "--every", "1", "--runs", "1", "--prompt-length", "3", "--repeats", "1"]


@pytest.fixture
def in_this_process(monkeypatch, tmp_path):
    """Measurements without processes of their own, whose imports take most of a test's time."""

    def run(script, job):
        result = tmp_path / "result.json"
        monkeypatch.chdir(tmp_path)
        side_by_side.measure(job | {"result": str(result)})
        return json.loads(result.read_text())

    monkeypatch.setattr(side_by_side, "run_apart", run)
    monkeypatch.setattr(side_by_side, "TARGET_LENGTH", 2)
    monkeypatch.setattr(side_by_side, "TASKS", ("syn-age-blog", "syn-find-hour"))
    yield
    logging.disable(logging.NOTSET)  # a process of its own need not say anything more


@pytest.mark.slow
def test_every_way_does_its_runs(in_this_process, tmp_path, capsys):
    folder, out = t5(tmp_path / "t5"), tmp_path / "rows.csv"
    side_by_side.main(["--model", str(folder), "--sizes", "2", "--out", str(out), *TINY])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["way"], row["runs"]) for row in rows] == [("peft", "1"), ("fit", "1"), ("2", "2")]
    assert all(float(row["seconds"]) > 0 and float(row["cpu_seconds"]) > 0 for row in rows)
    assert "2 side by side" in capsys.readouterr().out


def test_gains_are_runs_per_time_over_those_of_peft(capsys):
    def row(way, number, runs, seconds, cpu_seconds):
        return {"way": way, "round": number, "runs": runs, "seconds": seconds, "cpu_seconds": cpu_seconds}

    rows = [row("peft", 0, 4, 40.0, 20.0), row("16", 0, 16, 80.0, 20.0), row("peft", 1, 4, 20.0, 20.0)]
    side_by_side.report(["peft", "16"], [*rows, row("16", 1, 16, 80.0, 40.0)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["peft", "9.0", "1.00", "12.0", "1.00"]
    assert lines[2].split() == ["16", "side", "by", "side", "12.0", "1.50", "36.0", "3.00"]
