"""Whole sweeps: through the real command line, and with runs whose result is a known function of the rates."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.changes import changed
from support.toy_sweep import SWEEP, sweep, write_study, write_sweep
from support.wandb_file import read

from mpt.cli.sweep import run_sweep_command
from mpt.cli.sweep_words import read_trial, setup_of
from mpt.sweep import run as run_module
from mpt.sweep.file import load_sweep
from mpt.sweep.results import best_of
from mpt.sweep.run import Search
from mpt.util.errors import UserError
from mpt.util.files import write_json

REAL = """
name: small
backbone: mpt-tiny
root: synthetic
partition: synthetic-random-to-random
sources: [syn-size-ad, syn-colour-poem]
seeds: [13]
overrides: {trainer.max_steps: 8, model.prompt_length: 5, model.optimizer.lr: 0.1, trainer.accelerator: cpu}
methods:
  PT: {downstream: &prompt {config: prompt_tuning, overrides: {trainer.val_check_interval: 8, data.test_examples: 40}}}
  FoMAML: {upstream: {config: fomaml, overrides: {data.seeds: [13]}}, downstream: *prompt}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> tuple[Path, Path, str]:
    """A sweep of two real trials: its file, its folder and what it told."""
    folder = tmp_path_factory.mktemp("real")
    study = folder / "small.yaml"
    study.write_text(REAL)
    rates = {"model.optimizer.lr": {"values": [0.1]}, "model.algorithm.inner_lr": {"values": [0.01, 1.0]}}
    words = ["--validation", "syn-size-caption"]
    file = write_sweep(folder, study, changed(SWEEP, {"parameters": rates}), words)
    code, told, err = sweep("run", file, "--out", folder / "out", "--no-references", "--workers", "1")
    assert code == 0, err + told
    return file, folder / "out", told


@pytest.mark.long
def test_a_sweep_ends_with_a_table_the_best_setting_and_its_files(real):
    _, out, told = real
    assert "5 runs to do" in told and len(list(out.rglob("result.json"))) == 5
    scores = {
        path.parent.parent.name: json.loads(path.read_text())["score"]
        for path in out.glob("*/syn-size-caption-13/result.json")
    }
    args = {name: 100 * (score - scores["PT"]) / scores["PT"] for name, score in scores.items() if name != "PT"}
    rows = list(csv.DictReader((out / "report/rates/trials.csv").read_text().splitlines()))
    assert {row["trial"]: float(row["arg"]) for row in rows} == pytest.approx(args, abs=1e-3)
    best = max(rows, key=lambda row: float(row["arg"]))
    assert rows[0] == best
    pasted = f"--model.algorithm.inner_lr={best['model.algorithm.inner_lr']} --model.optimizer.lr=0.1"
    assert f"best: {pasted}\n" in told
    stored = yaml.safe_load((out / "report/rates/best.yaml").read_text())
    assert stored == {"model.algorithm.inner_lr": float(best["model.algorithm.inner_lr"]), "model.optimizer.lr": 0.1}
    assert not (out / "report/rates/heatmap.png").exists()  # one rate only differs
    _, _, logged = read(out / "report/rates")
    assert json.loads(logged["ARG"]) == pytest.approx(max(args.values()))


@pytest.mark.long
def test_again_nothing_is_done_and_the_same_is_told(real):
    file, out, told = real
    code, again, _ = sweep("run", file, "--out", out, "--no-references", "--workers", "2", WANDB_MODE="disabled")
    assert code == 0 and "nothing to do: all 5 runs are finished" in again
    end = told.index("rates: ARG over PT")
    assert told[end:].splitlines()[:-1] == again[again.index("rates: ARG over PT") :].splitlines()[:-1]


@pytest.mark.long
def test_a_trial_under_an_agent_logs_arg_into_the_run_of_the_agent(real, tmp_path):
    """As W&B's agent starts it, after the sweep: the runs are the same, so none is done again."""
    file, out, _ = real
    given = tmp_path / "given.yaml"
    given.write_text("wandb_version: 1\nmodel.algorithm.inner_lr:\n  value: 1\nmodel.optimizer.lr:\n  value: 0.1\n")
    agent = {"WANDB_SWEEP_ID": "sw33p", "WANDB_RUN_ID": "fr0mag3nt", "WANDB_SWEEP_PARAM_PATH": str(given)}
    words = ["--out", out, "--model.algorithm.inner_lr=1", "--model.optimizer.lr=0.1"]
    code, told, err = sweep("trial", file, *words, **agent)
    assert code == 0, err
    assert "nothing to do" in told and "ARG " in told
    head, _, logged = read(out / "trials")
    config = {item.key: json.loads(item.value_json) for item in head.config.update}
    assert (head.run_id, head.sweep_id) == ("fr0mag3nt", "sw33p")
    assert config["model.algorithm.inner_lr"] == 1 and config["method"] == "FoMAML"
    rows = list(csv.DictReader((out / "report/rates/trials.csv").read_text().splitlines()))
    (arg,) = [float(row["arg"]) for row in rows if row["model.algorithm.inner_lr"] == "1"]
    assert json.loads(logged["ARG"]) == pytest.approx(arg, abs=1e-3)
    assert json.loads(logged["gain/syn-size-caption"]) == pytest.approx(arg, abs=1e-3)


@pytest.fixture
def pretended(monkeypatch):
    """Runs at once, whose score is best at an inner rate of 0.1 and an outer rate of 1; the number done, by round."""
    rounds: list[int] = []

    def run_all(cells, workers, watcher):
        todo = [cell for cell in cells if not (cell.folder / "result.json").is_file()]
        rounds.append(len(todo))
        for cell in todo:
            up = {word for other in cells if other.key in cell.needs for word in other.arguments}
            rates = {
                word.split("=")[0]: word.split("=")[1] for word in up if word.startswith("--model") and "lr=" in word
            }
            score = 0.4
            if cell.target and rates:
                off = [math.log10(float(rates["--model.algorithm.inner_lr"])) + 1]
                off.append(math.log10(float(rates.get("--model.optimizer.lr", 0.5))))
                score = 0.8 - 0.05 * sum(value**2 for value in off)
            result = {"metric": "ACC", "score": score, "dev_score": 0.5, "seconds": 1.0}
            write_json(cell.folder / "result.json", {**result, "fingerprint": cell.fingerprint})
        return []

    monkeypatch.setattr(run_module, "run_all", run_all)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return rounds


RANGES = {
    "model.optimizer.lr": {"distribution": "log_uniform_values", "min": 0.01, "max": 10},
    "model.algorithm.inner_lr": {"distribution": "log_uniform_values", "min": 0.001, "max": 10},
}


def search(folder: Path, sweep: Mapping[str, Any] = SWEEP, workers: int = 1) -> Search:
    file = load_sweep(write_sweep(folder, write_study(folder), sweep))
    options, fixed = read_trial(file.words)
    options.out = folder / "out"
    bench = setup_of(options)
    return Search(file, bench, fixed, folder / "report", workers, contextlib.nullcontext)


def of(method: str) -> dict[str, Any]:
    return changed(SWEEP, {"method": method, "parameters": RANGES})


def test_references_stand_beside_the_trials_and_equal_settings_are_one(pretended, tmp_path):
    found = search(tmp_path)
    rows = found.run(None, 13, True)
    # Four of the grid, of which one is the study's own, and the config's default; each learns once for four runs.
    assert len(rows) == 5 and pretended == [4 + 5 * 5]
    assert found.notes[rows[0].name] == "the study's own" and rows[0].values["model.algorithm.inner_lr"] == 1
    assert found.notes[rows[1].name] == "the default of fomaml"
    best = best_of(rows)
    assert best.values == {"model.algorithm.inner_lr": 0.5, "model.optimizer.lr": 0.5}
    assert best.arg == pytest.approx(100 * (0.8 - 0.05 * (math.log10(5) ** 2 + math.log10(2) ** 2)) / 0.4 - 100)


def test_random_trials_are_taken_up_again_and_a_larger_count_adds(pretended, tmp_path):
    first = [row.values for row in search(tmp_path, of("random")).run(3, 13, False)]
    more = [row.values for row in search(tmp_path, of("random"), workers=2).run(5, 13, False)]
    assert len(first) == 3 and len(more) == 5 and more[:3] == first
    assert pretended == [4 + 3 * 5, 2 * 5]


@pytest.mark.long
def test_bayes_goes_on_where_it_was_with_any_number_of_workers(pretended, tmp_path):
    pytest.importorskip("optuna")
    first = search(tmp_path, of("bayes"), workers=2).run(4, 13, False)
    assert pretended == [0 + 4, 10, 10]  # the baseline, and two trials at once, twice
    del pretended[:]
    more = search(tmp_path, of("bayes")).run(16, 13, False)
    assert [row.values for row in more[:4]] == [row.values for row in first]
    assert pretended == [0] + [5] * 12
    assert best_of(more).arg > best_of(first).arg


def test_without_an_end_there_must_be_a_count(pretended, tmp_path):
    with pytest.raises(UserError, match="--count, or run_cap"):
        search(tmp_path, of("random")).run(None, 13, False)
    assert len(search(tmp_path, {**of("random"), "run_cap": 2}).run(9, 13, False)) == 2


def test_the_command_draws_and_says_what_it_leaves_out(pretended, tmp_path, capsys):
    stopping = {**SWEEP, "early_terminate": {"type": "hyperband", "min_iter": 3}}
    file = write_sweep(tmp_path, write_study(tmp_path), stopping)
    run_sweep_command(["run", str(file), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert "early_terminate is not done here" in told and "the study's own" in told
    assert "best: --model.algorithm.inner_lr=0.5 --model.optimizer.lr=0.5\n" in told
    assert (tmp_path / "out/report/rates/heatmap.png").read_bytes().startswith(b"\x89PNG")


def test_usage_and_a_wrong_word(capsys):
    run_sweep_command([])
    assert "trial FILE" in capsys.readouterr().out
    with pytest.raises(UserError, match="mpt sweep knows trial and run"):
        run_sweep_command(["agent"])
