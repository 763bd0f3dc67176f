"""``trainer.precision bf16-mixed`` is float32 on a CPU without bfloat16, and what was asked for on others."""

from __future__ import annotations

import pytest
import torch
from support.meta_toy import saved_prompt
from support.toy import Mpt, small_fit, write_toy

pytestmark = pytest.mark.long


def test_bfloat16_is_computed_where_the_cpu_has_it(capsys, caplog, model_folder, tmp_path, monkeypatch):
    mpt = Mpt(capsys)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    write_toy(tmp_path / "data")
    learned = {}
    caplog.set_level("INFO")
    for precision, known in (("32-true", False), ("bf16-mixed", False), ("bf16-mixed", True)):
        monkeypatch.setattr("mpt.fit.command.has_bfloat16", lambda device, known=known: known)
        folder = tmp_path / f"{precision}-{known}"
        options = small_fit(model_folder("llama"), tmp_path / "data", folder, trainer__precision=precision)
        caplog.clear()
        ended = mpt("fit", "--config", "prompt_tuning", *options)
        assert ended.code == 0, ended.err
        told = "trainer.precision is 32-true in place of bf16-mixed" in caplog.text
        assert told == (precision == "bf16-mixed" and not known)
        learned[precision, known] = saved_prompt(folder)
    assert torch.equal(learned["bf16-mixed", False], learned["32-true", False])
    assert not torch.equal(learned["bf16-mixed", True], learned["32-true", False])
