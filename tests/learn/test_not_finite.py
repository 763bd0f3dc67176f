"""A loss that is NaN or infinite stops the run; what was kept before stays, and nothing that is not finite is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.toy import Mpt, json_lines, small_fit, write_toy
from support.toy_study import write_study

from mpt.learn.example_learner import ExampleLearner
from mpt.prompt.files import load_prompt
from mpt.record.folder import FAILED, RESULT
from mpt.study.plan.grid import plan
from mpt.study.run.one import do_run
from mpt.study.spec.study import load_study

CONFIG = ("--config", "prompt_tuning")
RUNAWAY = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "1e38"]
LAST = """
trainer:
  callbacks:
  - {class_path: mpt.callbacks.KeepBest, init_args: {monitor: null}}
  - {class_path: mpt.callbacks.ResumePoint, init_args: {every_n_steps: 1}}
"""


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the fourth step on every loss is NaN."""
    watch = ExampleLearner._watch
    monkeypatch.setattr(
        ExampleLearner, "_watch", lambda self, loss: watch(self, loss * (1 if self.global_step < 3 else torch.nan))
    )


def told(ended, *words: str) -> None:
    assert ended.code == 2 and "Traceback" not in ended.err
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    for word in words:
        assert word in sentence


@pytest.mark.long
@pytest.mark.parametrize("kept", ["best", "last"])
def test_a_run_that_was_never_finite_keeps_nothing(kept, mpt, model_folder, tmp_path):
    (tmp_path / "last.yaml").write_text(LAST)
    options = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")
    options += ["--config", tmp_path / "last.yaml", "--trainer.limit_val_batches", 0] if kept == "last" else []
    ended = mpt("fit", *CONFIG, *options, *RUNAWAY)
    told(ended, "NaN or infinite by step", "learning rate 1e+38", "bfloat16 or float32", "Nothing was kept in")
    assert not (tmp_path / "run" / "prompt").exists()
    if (state := tmp_path / "run" / "last.ckpt").exists():
        assert torch.load(state, weights_only=True)["state_dict"]["prompt.weight"].isfinite().all()


@pytest.mark.long
def test_what_was_best_before_stays(spoilt, mpt, model_folder, tmp_path):
    options = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")
    ended = mpt("fit", *CONFIG, *options)
    told(ended, "the training loss is NaN or infinite by step 4", "at step 2, is kept in")
    stored = load_prompt(tmp_path / "run" / "prompt")
    assert stored.weight.isfinite().all() and stored.facts["step"] == 2
    assert [row["step"] for row in json_lines(tmp_path / "run" / "metrics.jsonl")] == [2]
    assert mpt("test", *CONFIG, *options).code == 0


@pytest.mark.long
def test_a_gpu_is_not_waited_for_at_each_step(spoilt, mpt, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.learn.example_learner.devices", lambda: 2)  # looked at where losses are logged and judged
    options = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")
    told(mpt("fit", *CONFIG, *options), "the training loss is NaN or infinite by step 4", "at step 2, is kept in")


@pytest.mark.long
def test_a_dev_loss_that_is_not_finite_is_not_judged(mpt, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.learn.judged.token_mean", lambda losses, batch: losses.mean() * torch.inf)
    options = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")
    told(mpt("fit", *CONFIG, *options), "the dev loss is NaN or infinite", "Nothing was kept")
    assert not (tmp_path / "run" / "prompt").exists() and not (tmp_path / "run" / "last.ckpt").exists()


def cell_of(folder: Path, model: Path):
    cells = plan(load_study(write_study(folder, model)), folder / "out")
    return next(cell for cell in cells if cell.method == "PT")


@pytest.mark.long
def test_a_run_of_a_study_is_judged_by_what_it_kept(spoilt, tmp_path, model_folder):
    """As in a pack: what is chosen on dev was learned before."""
    cell = cell_of(tmp_path, model_folder("t5"))
    assert do_run(cell) == "finished"
    result = json.loads((cell.folder / RESULT).read_text())
    assert result["best_step"] == 2 and 0 <= result["score"] <= 1


@pytest.mark.long
def test_a_run_of_a_study_that_kept_nothing_has_failed(tmp_path, model_folder, monkeypatch):
    monkeypatch.setattr("mpt.learn.example_learner.token_mean", lambda losses, batch: losses.mean() * torch.nan)
    cell = cell_of(tmp_path, model_folder("t5"))
    assert do_run(cell) == "failed"
    assert "Nothing was kept" in json.loads((cell.folder / FAILED).read_text())["reason"]
