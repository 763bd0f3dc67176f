"""A plan only looks: it runs no code that a stranger's study names."""

from __future__ import annotations

import pytest
from study.toy_study import STUDY, write_study
from toy import Mpt

from mpt.study.foreign import foreign
from mpt.study.plan import plan
from mpt.study.spec import load_study

FOREIGN = {
    "a class": (["--model.init=json.JSONDecoder"], "json.JSONDecoder"),
    "a function for a class of ours": (
        ['--trainer.callbacks={"class_path": "LambdaCallback", "init_args": {"on_fit_start": "os.abort"}}'],
        "os.abort",
    ),
    "in a config": (["--config=a.yaml"], "json.JSONDecoder"),
    "in a part of a config": (["--config=whole.yaml"], "json.JSONDecoder"),
    "nothing": (["--model.init=mpt.initialisers.SampledVocabulary", "--data.task=no.module"], None),
}


@pytest.mark.parametrize(("words", "found"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_of_another_package(words, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("model: {class_path: PromptTuning, init_args: {init: json.JSONDecoder}}\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "init.yaml").write_text("class_path: json.JSONDecoder\n")
    (tmp_path / "whole.yaml").write_text("model: {init_args: {init: deep/init.yaml}}\n")
    assert foreign(words) == found


def test_a_plan_does_not_run_it(capsys, tmp_path, monkeypatch):
    # Python would look for both in the working folder, were it asked to.
    for name in ("torch", "bait"):
        (tmp_path / f"{name}.py").write_text(f"import os; os.mkdir(r'{tmp_path / 'sprung'}')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    only = STUDY[: STUDY.index("  MTL:")] + "\n"
    file = write_study(tmp_path, "mpt-tiny", only.replace("overrides: &prompt {{", "overrides: {{model.init: bait.X, "))
    ended = Mpt(capsys)("study", "plan", file, "--out", tmp_path / "out")
    assert ended.code == 0 and "bait.X" in ended.out and "plan does not run" in " ".join(ended.out.split())
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("line", ["ckpt_path: http://127.0.0.1:9/x.ckpt", "weights_only: false"])
def test_a_study_has_no_checkpoints_of_its_own(line, tmp_path, capsys):
    text = STUDY.replace("overrides:\n  trainer.max_steps", f"overrides:\n  {line}\n  trainer.max_steps")
    ended = Mpt(capsys)("study", "plan", write_study(tmp_path, "mpt-tiny", text))
    assert ended.code == 2 and f"overrides must not set {line.partition(':')[0]}" in ended.err


def test_shipped_studies_name_nothing_else(tmp_path):
    cells = plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")
    assert {foreign(cell.recipe) for cell in cells} == {None}
