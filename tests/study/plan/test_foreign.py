"""A plan only looks: it runs no code that a stranger's study names."""

from __future__ import annotations

import pytest
from support.toy import Mpt
from support.toy_study import STUDY, write_study

from mpt.study.plan.foreign import foreign, writer_elsewhere
from mpt.study.plan.grid import plan
from mpt.study.spec.study import load_study

FOREIGN = {
    "a class": (["--model.init=json.JSONDecoder"], "json.JSONDecoder"),
    "a function for a class of ours": (
        ['--trainer.callbacks={"class_path": "LambdaCallback", "init_args": {"on_fit_start": "os.abort"}}'],
        "os.abort",
    ),
    "in a config": (["--config=a.yaml"], "json.JSONDecoder"),
    "in a part of a config": (["--config=whole.yaml"], "json.JSONDecoder"),
    "in a part of a config at home": (["--model.init=~/deep/init.yaml"], "json.JSONDecoder"),
    "in a config with a date that is none": (["--config=date.yaml"], "json.JSONDecoder"),
    "perhaps, in a config too large to look through": (["--config=large.yaml"], "large.yaml"),
    "perhaps, in a config too deep to look through": (["--config=nested.yaml"], "[" * 20 + " …"),
    "nothing": (["--model.init=mpt.prompt.initialisers.SampledVocabulary", "--data.task=no.module"], None),
}


@pytest.mark.parametrize(("words", "found"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_of_another_package(words, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("model: {class_path: PromptTuning, init_args: {init: json.JSONDecoder}}\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "init.yaml").write_text("class_path: json.JSONDecoder\n")
    (tmp_path / "whole.yaml").write_text("model: {init_args: {init: deep/init.yaml}}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "date.yaml").write_text("of: 2026-99-99\nmodel: {init_args: {init: json.JSONDecoder}}\n")
    (tmp_path / "large.yaml").write_text("model: {init_args: {init: json.JSONDecoder}}\n" + "#" * (1 << 20))
    (tmp_path / "nested.yaml").write_text("[" * 10_000)
    assert foreign(words) == found


def test_what_would_write_outside_of_its_run():
    mine = {"class_path": "mpt.callbacks.KeepBest", "init_args": {"folder": "prompt"}}
    elsewhere = {"class_path": "lib.Checkpoints", "init_args": {"dirpath": "out"}}
    assert writer_elsewhere({"callbacks": [mine, {**elsewhere, "init_args": {"dirpath": None}}]}) is None
    assert writer_elsewhere({"callbacks": [mine, elsewhere]}) == "lib.Checkpoints"
    assert writer_elsewhere({"profiler": {**elsewhere, "init_args": {"filename": "../x"}}}) == "lib.Checkpoints"


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
