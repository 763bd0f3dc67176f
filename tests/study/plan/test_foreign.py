"""A plan only looks: it runs no code that a stranger's study names."""

from __future__ import annotations

import pytest
from support.toy import Mpt
from support.toy_study import STUDY, write_study


def test_a_plan_does_not_run_it(capsys, tmp_path, monkeypatch):
    # Python would look for both in the working folder, were it asked to.
    for name in ("torch", "bait"):
        (tmp_path / f"{name}.py").write_text(f"import os; os.mkdir(r'{tmp_path / 'sprung'}')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    only = STUDY[: STUDY.index("  MTL:")] + "\n"
    file = write_study(tmp_path, "mpt-tiny", only.replace("overrides: &prompt {{", "overrides: {{model.init: bait.X, "))
    ended = Mpt(capsys)("study", "plan", file, "--out", tmp_path / "out")
    assert ended.code == 0 and not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("line", ["ckpt_path: http://127.0.0.1:9/x.ckpt", "weights_only: false"])
def test_a_study_has_no_checkpoints_of_its_own(line, tmp_path, capsys):
    text = STUDY.replace("overrides:\n  trainer.max_steps", f"overrides:\n  {line}\n  trainer.max_steps")
    ended = Mpt(capsys)("study", "plan", write_study(tmp_path, "mpt-tiny", text))
    assert ended.code == 2 and f"overrides must not set {line.partition(':')[0]}" in ended.err
