"""The benchmark runs on a tiny model and measures what it says."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys

import pytest
import torch
from support.paths import ROOT

SCRIPT = ROOT / "experiments" / "benchmarks" / "train_step.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("train_step", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_it_measures_a_fit_in_a_process_of_its_own(benchmark, model_folder, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    out, folder = tmp_path / "rows.csv", str(model_folder("t5"))
    arguments = ["--models", folder, "--ways", "lightning", "--steps", "2", "--repeats", "1"]
    benchmark.main([*arguments, "--out", str(out)])
    assert "peak memory, tensors [MB]" in capfd.readouterr().out
    with out.open() as file:
        (row,) = csv.DictReader(file)
    assert (row["model"], row["way"], row["round"]) == (folder, "lightning", "0")
    assert all(float(row[key]) > 0 for key in ("step_ms", "cpu_ms", "peak_mb"))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "gpt2"])
@pytest.mark.parametrize("way", ["peft", "mpt"])
def test_it_measures_the_bare_loops(kind, way, benchmark, model_folder, tmp_path):
    result = tmp_path / "result.json"
    job = {"folder": str(model_folder(kind)), "steps": 1, "threads": 1, "device": "cpu"}
    benchmark.measure({**job, "way": way, "result": str(result)}, [])
    figures = json.loads(result.read_text())
    assert all(figures[key] > 0 for key in ("step_ms", "cpu_ms", "peak_mb"))


def test_models_that_are_not_here_are_left_out(benchmark, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("mpt.backbone.source.ASSETS", tmp_path)
    (tmp_path / "mpt-tiny").mkdir()
    (tmp_path / "mpt-tiny" / "config.json").write_text("{}")
    benchmark.main(["--models", "mpt-tiny"])
    assert "mpt-tiny: its weights are not here, so it is left out" in capsys.readouterr().out


def test_the_meter_times_the_steps_after_the_warm_up(benchmark, monkeypatch):
    clock = {"wall": 100.0, "cpu": 7.0}
    monkeypatch.setattr(benchmark, "now", lambda device: clock["wall"])
    monkeypatch.setattr(benchmark.time, "process_time", lambda: clock["cpu"])
    meter = benchmark.Meter(steps=4, warm_up=2, device="cpu")
    meter.begin(torch.nn.Linear(2, 2))
    for pause in (0.2, 0.0, 0.02, 0.03, 0.02, 0.01, 0.2):
        clock["wall"] += pause
        clock["cpu"] += pause / 4
        meter.step()
    result = meter.result()
    assert result["step_ms"] == pytest.approx(20)
    assert result["cpu_ms"] == pytest.approx(5)


def test_the_meter_sees_a_peak_that_is_over_and_forgets_one_before_it(benchmark):
    torch.ones(100_000_000)  # 400 MB, freed before the meter begins
    meter = benchmark.Meter(steps=1, warm_up=1, device="cpu")
    meter.begin(torch.nn.Linear(2, 2))
    meter.step()
    torch.ones(25_000_000)  # 100 MB, freed before the meter is read
    meter.step()
    kept = [torch.ones(1_000_000) for _ in range(2)]  # 8 MB, and on top of it
    torch.ones(3_000_000)  # 12 MB
    meter.step()
    result = meter.result()
    assert len(kept) == 2 and result["peak_mb"] == pytest.approx(20, abs=0.01)
    if sys.platform == "linux":
        assert result["resident_mb"] == pytest.approx(100, abs=10)


def test_a_ratio_is_taken_within_rounds(benchmark, capsys):
    rows = [
        {
            "way": way,
            "round": number,
            "step_ms": value,
            "cpu_ms": value,
            "peak_mb": value,
            "resident_mb": value,
        }
        for number, slow in enumerate((1, 10, 100))
        for way, value in (("peft", 2.0 * slow), ("mpt", 1.0 * slow), ("lightning", 1.5 * slow))
    ]
    benchmark.report("model", rows)
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[-5:] == ["20.00", "10.00", "15.00", "0.500", "1.500"]


def test_inputs_are_as_long_as_promised_in_any_tokenizer(benchmark, load_backbone):
    inputs, targets = next(benchmark.batches())
    for kind in ("t5", "gpt2"):
        batch = load_backbone(kind, max_input_length=128).encode(inputs, targets)
        assert batch.input_ids.shape == (8, 128) and bool(batch.input_mask.all())
