"""A plan only looks: it runs no code that a stranger's study names."""

from __future__ import annotations

import pytest
from support.changes import REMOVED, changed
from support.toy import Mpt
from support.toy_study import STUDY, write_study


def test_a_plan_does_not_run_it(capsys, tmp_path, monkeypatch):
    # Python would look for both in the working folder, were it asked to.
    for name in ("torch", "bait"):
        (tmp_path / f"{name}.py").write_text(f"import os; os.mkdir(r'{tmp_path / 'sprung'}')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    init = ("methods", "PT", "downstream", "overrides", "model.init")
    bait = changed(STUDY, {init: "bait.X", ("methods", "MTL"): REMOVED, ("methods", "FT"): REMOVED})
    file = write_study(tmp_path, "mpt-tiny", bait)
    ended = Mpt(capsys)("study", "plan", file, "--out", tmp_path / "out")
    assert ended.code == 0 and not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("name", "value"), [("ckpt_path", "http://127.0.0.1:9/x.ckpt"), ("weights_only", False)])
def test_a_study_has_no_checkpoints_of_its_own(name, value, tmp_path, capsys):
    file = write_study(tmp_path, "mpt-tiny", changed(STUDY, {("overrides", name): value}))
    ended = Mpt(capsys)("study", "plan", file)
    assert ended.code == 2 and f"overrides must not set {name}" in ended.err
