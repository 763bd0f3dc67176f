"""The start-up benchmark: that commands are measured and a training that makes no step is told."""

from __future__ import annotations

import csv
import sys

import pytest
import startup as benchmark  # type: ignore[import-not-found]


@pytest.mark.long
def test_the_table_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "COMMANDS", ("--version",))
    monkeypatch.setattr(benchmark, "FIT", ("--version",))
    monkeypatch.setattr(benchmark, "to_first_step", lambda *command: float(len(command)))
    benchmark.main(["--repeats", "1", "--out", str(tmp_path / "figures.csv")])
    rows = dict(list(csv.reader((tmp_path / "figures.csv").read_text().splitlines()))[1:])
    assert list(rows) == ["mpt --version", "mpt fit, to its first step", "Lightning, W&B and transformers alone"]
    assert float(rows["mpt --version"]) > 0


def test_a_training_that_makes_no_step_is_told():
    with pytest.raises(SystemExit, match="no such training"):
        benchmark.to_first_step(sys.executable, "-c", "raise SystemExit('no such training')")


def test_seconds_are_those_of_the_process_alone():
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    assert 0.5 <= benchmark.seconds(sys.executable, "-c", busy) < 5
