"""Mixtures as the sources of a study, and multi-task model tuning: the whole model on a mixture, then on a target."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support.changes import REMOVED, changed
from support.toy_study import STUDY, write_study

from mpt.fit.configs import find_config
from mpt.fit.resolve import resolve_run
from mpt.study.forecast import by_kind
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.plan.planner import start_options
from mpt.study.run.one import do_run
from mpt.study.spec.settings import settings
from mpt.study.spec.study import Study, load_study
from mpt.util.errors import UserError

FINE_TUNED = {"config": "fine_tuning"}
MT_FT = {
    "name": "toy",
    "seeds": [13],
    "side_by_side": 1,
    "overrides": {
        "trainer.max_steps": 4,
        "trainer.log_every_n_steps": 2,
        "trainer.val_check_interval": 2,
        "trainer.accelerator": "cpu",
        "trainer.logger": False,
        "model.backbone_options.max_input_length": 16,
        "model.backbone_options.max_target_length": 2,
        "model.optimizer.lr": 0.01,
    },
    "methods": {
        "FT": {"downstream": FINE_TUNED},
        "MT-FT": {
            "upstream": {"config": "fine_tuning_mixture", "overrides": {"data.seeds": [13, 21]}},
            "downstream": FINE_TUNED,
        },
    },
    "baseline": "FT",
}


def one(cells: list[PlannedRun], key: str) -> PlannedRun:
    return next(cell for cell in cells if cell.key == key)


def toy(folder: Path, backbone: Path | str = "mpt-tiny", mixture: str = "[trec, emo, ag_news]") -> Study:
    """Targets are superglue-cb and ag_news."""
    file = write_study(folder, backbone, {**MT_FT, "sources": [str(folder / "mine.yaml")]})
    (folder / "mine.yaml").write_text(f"tasks: {mixture}\n", encoding="utf-8")
    return load_study(file)


def test_a_mixture_is_learned_on_but_for_its_targets(tmp_path):
    found = toy(tmp_path)
    [setting] = settings(found)
    assert setting.sources == ("trec", "emo") and setting.held_out == ("ag_news",)
    assert setting.left_out("data") == "Not learned on in toys, for they are targets: ag_news."
    upstream = one(plan(found, tmp_path / "out"), "MT-FT/upstream-13")
    assert '--data.tasks=["trec", "emo"]' in upstream.arguments and "--data.partition=null" in upstream.arguments


def test_spot_learns_on_targets_too_when_asked(tmp_path):
    found = replace(toy(tmp_path), learn_on_targets=True)
    [setting] = settings(found)
    assert setting.sources == ("trec", "emo", "ag_news") and not setting.held_out and not setting.left_out("data")
    file = Path(found.file)
    file.write_text(file.read_text() + "learn_on_targets: true\n")
    assert load_study(file).learn_on_targets
    with pytest.raises(UserError, match=r"all tasks of the sources .*mine\.yaml are targets of toys.*learn_on_targets"):
        settings(toy(tmp_path / "other", mixture="[ag_news]"))


def test_missing_tasks_of_a_mixture_are_named_or_left_out(tmp_path):
    found = toy(tmp_path, mixture="[trec, snli, anli]")
    with pytest.raises(UserError, match=r"toys \(source snli, anli\).*mpt data build snli anli --root"):
        settings(found)
    [setting] = settings(replace(found, missing="skip"))
    assert setting.sources == ("trec",) and setting.missing_sources == ("snli", "anli")
    with pytest.raises(UserError, match="sources names boolq, which is not among the sources"):
        settings(replace(found, sources=("boolq", "trec")))
    [setting] = settings(replace(found, sources=("emo", str(tmp_path / "mine.yaml")), missing="skip"))
    assert setting.sources == ("emo", "trec")


def test_a_shipped_mixture_by_its_name(tmp_path):
    [setting] = settings(replace(toy(tmp_path), sources=("mnli", "emo"), missing="skip"))
    assert setting.sources == ("emo",) and setting.missing_sources == ("glue-mnli",)


def test_the_model_is_handed_down_as_a_prompt_is(tmp_path):
    found = toy(tmp_path)
    cell = one(plan(found, tmp_path / "out"), "MT-FT/ag_news-13")
    assert f"--model.start={tmp_path}/out/MT-FT/upstream-13/model" in cell.arguments
    assert "--model.backbone=mpt-tiny" in cell.arguments and cell.needs == ("MT-FT/upstream-13",)
    assert not any("model.init" in word for word in cell.arguments)
    # Its steps take as long as those of FT.
    kinds = by_kind(plan(found, tmp_path / "out")).values()
    assert [sorted({run.method for run in own}) for own in kinds] == [["MT-FT"], ["FT", "MT-FT"]]


def test_a_prompt_cannot_start_a_model_nor_a_model_a_prompt(tmp_path):
    upstream = ("methods", "MTL", "upstream")
    length = (*upstream, "overrides", "model.prompt_length")
    mixture = changed(STUDY, {(*upstream, "config"): "fine_tuning_mixture", length: REMOVED})
    with pytest.raises(UserError, match=r"methods\.MTL: upstream learns by FineTuning and downstream by PromptTuning"):
        plan(load_study(write_study(tmp_path, "mpt-tiny", mixture)), tmp_path / "out")
    own = "model: {class_path: mine.FineTuning}\ntrainer: {callbacks: [{class_path: KeepBest, init_args: {folder: w}}]}"
    then = resolve_run(find_config("fine_tuning").read_text())
    assert start_options("up", resolve_run(own), then, "x") == {"model.start": "up/w"}
    unsaid = own.replace("KeepBest, init_args: {folder: w}", "mpt.callbacks.KeepBest")
    assert start_options("up", resolve_run(unsaid), then, "x") == {"model.start": "up/prompt"}
    for callbacks in ("[]", "[{class_path: mpt.callbacks.MetricsFile}]", "null"):
        none = own.partition("callbacks")[0] + f"callbacks: {callbacks}}}"
        with pytest.raises(UserError, match=r"x: upstream keeps nothing .* need mpt\.callbacks\.KeepBest"):
            start_options("up", resolve_run(none), then, "x")


@pytest.mark.long
def test_multi_task_model_tuning(tmp_path, model_folder):
    found = toy(tmp_path, model_folder("t5"))
    out = tmp_path / "out"
    cells = plan(found, out)
    assert {cell.key for cell in cells if cell.method == "MT-FT"} == {
        "MT-FT/upstream-13", "MT-FT/superglue-cb-13", "MT-FT/ag_news-13"
    }  # fmt: skip
    for key in ("MT-FT/upstream-13", "MT-FT/ag_news-13", "FT/ag_news-13"):
        assert do_run(one(cells, key)) == "finished", (out / key / "failed.json").read_text()
    assert json.loads((out / "MT-FT/ag_news-13/result.json").read_text())["score"] is not None
    # The downstream run went on where the upstream one ended: the former's end is near the latter's, as FT's is near
    # the backbone.
    name = "decoder.block.0.layer.2.DenseReluDense.wi.weight"
    base = load_file(model_folder("t5") / "model.safetensors")[name]
    learned = load_file(out / "MT-FT/upstream-13/model/model.safetensors")[name]
    assert (base - learned).abs().max() > 1e-3
    ends = {method: load_file(out / method / "ag_news-13/model/model.safetensors")[name] for method in ("FT", "MT-FT")}
    assert (ends["FT"] - base).norm() < (ends["FT"] - learned).norm()
    assert (ends["MT-FT"] - learned).norm() < (ends["MT-FT"] - base).norm()
