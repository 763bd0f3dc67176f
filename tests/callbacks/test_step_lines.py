"""Steps and time left of a fit, in a log and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.toy import Mpt, small_fit, write_toy

from mpt.present import progress


@pytest.mark.parametrize("bar", ["true", "false"])
def test_a_log_has_the_steps_and_the_time_left_if_a_bar_was_asked_for(bar, model_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(progress, "_SILENT", 0.0)
    options = {"trainer__max_steps": 5, "trainer__val_check_interval": 5, "trainer__enable_progress_bar": bar}
    root = write_toy(tmp_path / "data")
    run = Mpt(capsys)("fit", "--config", "prompt_tuning", *small_fit(model_folder("t5"), root, Path("run"), **options))
    assert run.code == 0
    told = re.findall(r"^(\d) of 5 steps, about .+ left$", run.out, flags=re.M)
    assert told == (["1", "2", "3", "4"] if bar == "true" else [])
