"""Early prompts: those of a run that ends there, whatever stops or follows it, and loaded by PEFT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from support.meta_toy import meta_fit
from support.toy import Mpt, small_fit, write_toy
from support.toy_study import write_tasks
from transformers import AutoModelForSeq2SeqLM

from mpt.callbacks import KeepEarly
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError

TUNING = ("--config", "prompt_tuning")


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_toy(tmp_path / "data")


def keeping(path: Path, steps: list[int], *more: str, **options: object) -> tuple[str, str]:
    """A config of the callbacks a run has, KeepEarly and others given by their class."""
    shipped = ["mpt.callbacks.KeepBest", "mpt.callbacks.MetricsFile", "mpt.callbacks.ResumePoint", *more]
    listed: list[dict[str, object]] = [{"class_path": name} for name in shipped]
    listed.append({"class_path": "mpt.callbacks.KeepEarly", "init_args": {"steps": steps, **options}})
    if "support.meta_toy.Cut" in more:
        listed[shipped.index("support.meta_toy.Cut")]["init_args"] = {"after": 5}
    path.write_text(yaml.safe_dump({"trainer": {"callbacks": listed}}), encoding="utf-8")
    return "--config", str(path)


def learned(folder: Path) -> torch.Tensor:
    """What a run ended with, as its checkpoint has it."""
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]["prompt.weight"]


@pytest.mark.long
def test_an_early_prompt_is_what_a_run_of_as_many_steps_ends_with(mpt, root, model_folder, tmp_path):
    """The steps are not those of evaluations; dropout is on."""
    model = model_folder("t5")
    config = keeping(tmp_path / "keep.yaml", [5, 1, 3, 3], folder="keys")
    run = small_fit(model, root, tmp_path / "run", trainer__max_steps=8, trainer__val_check_interval=4)
    assert mpt("fit", *TUNING, *config, *run).code == 0
    assert sorted(path.name for path in (tmp_path / "run/keys").iterdir()) == ["step-1", "step-3", "step-5"]
    for step in (1, 3, 5):
        steps = {"trainer__max_steps": step, "trainer__val_check_interval": step}
        assert mpt("fit", *TUNING, *small_fit(model, root, tmp_path / str(step), **steps)).code == 0
        kept = load_prompt(tmp_path / f"run/keys/step-{step}")
        assert torch.equal(kept.weight, learned(tmp_path / str(step)))
        assert (kept.facts["step"], kept.facts["task"], kept.facts["method"]) == (step, "toy", "PromptTuning")
        assert kept.facts["fingerprint"] == load_prompt(tmp_path / "run/prompt").facts["fingerprint"]


@pytest.mark.long
def test_an_early_prompt_is_loaded_by_peft(mpt, root, model_folder, tmp_path):
    model, folder = model_folder("t5"), tmp_path / "run/early/step-2"
    assert (
        mpt("fit", *TUNING, *keeping(tmp_path / "keep.yaml", [2]), *small_fit(model, root, tmp_path / "run")).code == 0
    )
    theirs = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(model), folder)
    assert torch.equal(theirs.get_prompt_embedding_to_save("default"), load_prompt(folder).weight)


@pytest.mark.long
def test_cut_off_and_resumed_leaves_the_same_early_prompts(mpt, root, model_folder, tmp_path):
    """Cut at step 5 and resumed from 4: step 3 is kept from before, 5 is kept again, 7 is still to come."""
    steps = {"trainer__max_steps": 8, "trainer__val_check_interval": 4}
    shipped = keeping(tmp_path / "shipped.yaml", [3, 4, 5, 7])
    cut = keeping(tmp_path / "cut.yaml", [3, 4, 5, 7], "support.meta_toy.Cut")
    assert mpt("fit", *TUNING, *shipped, *small_fit(model_folder("t5"), root, tmp_path / "straight", **steps)).code == 0
    options = small_fit(model_folder("t5"), root, tmp_path / "cut", **steps)
    with pytest.raises(ConnectionError, match="power cut"):
        mpt("fit", *TUNING, *cut, *options)
    early = tmp_path / "cut/early"
    before = (early / "step-3/adapter_model.safetensors").stat().st_mtime_ns
    early.joinpath(".step-5.123.new").mkdir()  # what a kill leaves of a folder that was being written
    assert mpt("fit", *TUNING, *shipped, *options, "--ckpt_path", "last").code == 0
    assert (early / "step-3/adapter_model.safetensors").stat().st_mtime_ns == before
    files = [path.relative_to(early) for path in sorted(early.rglob("*"))]
    assert files == [
        path.relative_to(tmp_path / "straight/early") for path in sorted((tmp_path / "straight/early").rglob("*"))
    ]
    assert len(files) == 4 * 5
    for file in files:
        if (early / file).is_file():
            assert (early / file).read_bytes() == (tmp_path / "straight/early" / file).read_bytes()


@pytest.mark.long
def test_a_run_that_goes_on_past_a_step_it_did_not_keep_is_refused(mpt, root, model_folder, tmp_path):
    steps = {"trainer__max_steps": 4, "trainer__val_check_interval": 2}
    options = small_fit(model_folder("t5"), root, tmp_path / "run", **steps)
    assert mpt("fit", *TUNING, *options).code == 0
    options = small_fit(model_folder("t5"), root, tmp_path / "run", **steps | {"trainer__max_steps": 6})
    ended = mpt("fit", *TUNING, *keeping(tmp_path / "keep.yaml", [3, 5]), *options, "--ckpt_path", "last")
    assert ended.code == 2 and "run/early/step-3" in ended.err and "without --ckpt_path" in ended.err
    assert not (tmp_path / "run/early").exists()


@pytest.mark.long
def test_steps_are_those_of_the_optimiser_where_gradients_are_accumulated(mpt, root, model_folder, tmp_path):
    accumulated = {"trainer__accumulate_grad_batches": 2, "data__batch_size": 2}
    config = keeping(tmp_path / "keep.yaml", [3])
    run = {"trainer__max_steps": 4, "trainer__val_check_interval": 4, **accumulated}
    assert mpt("fit", *TUNING, *config, *small_fit(model_folder("t5"), root, tmp_path / "run", **run)).code == 0
    short = {"trainer__max_steps": 3, "trainer__val_check_interval": 6, **accumulated}
    assert mpt("fit", *TUNING, *small_fit(model_folder("t5"), root, tmp_path / "short", **short)).code == 0
    assert torch.equal(load_prompt(tmp_path / "run/early/step-3").weight, learned(tmp_path / "short"))


@pytest.mark.long
def test_a_meta_learner_keeps_early_prompts_too(mpt, model_folder, tmp_path):
    """It steps by itself, after several meta-batches, and is not evaluated."""
    root = write_tasks(tmp_path / "data")
    changes = {"model__accumulate_grad_batches": 2, "trainer__callbacks+": "mpt.callbacks.KeepEarly"}
    kept = {"trainer__callbacks__steps": "[2]", "trainer__max_steps": 3}
    options = meta_fit(model_folder("t5"), root, tmp_path / "run", **changes, **kept)
    assert mpt("fit", "--config", "reptile", *options).code == 0
    options = meta_fit(
        model_folder("t5"), root, tmp_path / "two", trainer__max_steps=2, model__accumulate_grad_batches=2
    )
    assert mpt("fit", "--config", "reptile", *options).code == 0
    kept = load_prompt(tmp_path / "run/early/step-2")
    assert torch.equal(kept.weight, load_prompt(tmp_path / "two/prompt").weight) and kept.facts["task"] is None


@pytest.mark.parametrize("steps", [[], [0, 5], [-1]])
def test_steps_that_are_none_are_refused(steps):
    with pytest.raises(UserError, match="steps must be a list of whole numbers from 1 on"):
        KeepEarly(steps)


@pytest.mark.long
def test_a_step_that_is_never_reached_is_refused_before_training(mpt, root, model_folder, tmp_path):
    added = ["--trainer.callbacks+=mpt.callbacks.KeepEarly", "--trainer.callbacks.steps=[2,40]"]
    ended = mpt("fit", *TUNING, *small_fit(model_folder("t5"), root, tmp_path / "run"), *added)
    assert ended.code == 2 and "step 40" in ended.err and "max_steps 6" in ended.err
    assert not (tmp_path / "run/metrics.jsonl").exists()
