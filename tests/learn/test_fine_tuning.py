"""FineTuning's start: the weights of another run, by the command line as a study types it."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file
from support.small_models import t5

from mpt.backbone.loading import BackboneOptions
from mpt.learn import FineTuning
from mpt.learn.language_modeling import LanguageModeling
from mpt.util.errors import UserError


def options(model, root, folder, **more):
    words = {
        "model.backbone": model,
        "model.backbone_options.max_input_length": 16,
        "model.backbone_options.max_target_length": 2,
        "data.root": root,
        "trainer.default_root_dir": folder,
        "trainer.max_steps": 2,
        "trainer.enable_progress_bar": "false",
        "trainer.accelerator": "cpu",
        "trainer.logger": "false",
        **more,
    }
    return [word for name, value in words.items() for word in (f"--{name}", value)]


@pytest.mark.long
def test_from_a_mixture_to_a_target(mpt, root, model_folder, tmp_path):
    model = model_folder("t5")
    mixture = {
        "data.partition": "null",
        "data.tasks": "[emo,trec]",
        "data.seeds": "[13,21]",
        "model.optimizer.lr": 0.01,
    }
    first = mpt("fit", "--config", "fine_tuning_mixture", *options(model, root, tmp_path / "up", **mixture))
    assert first.code == 0, first.err
    start = tmp_path / "up" / "model"
    target = {"data.task": "ag_news", "model.start": start, "trainer.val_check_interval": 2, "model.optimizer.lr": 0.0}
    assert mpt("fit", "--config", "fine_tuning", *options(model, root, tmp_path / "down", **target)).code == 0
    up, down = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("up", "down"))
    base = load_file(model / "model.safetensors")
    assert all(torch.equal(up[name], down[name]) for name in up), "at a rate of 0 it ends where it began"
    assert not all(torch.equal(up[name], base[name]) for name in up)
    # What a start has learned can be tested before anything is tuned.
    untuned = options(model, root, tmp_path / "untuned", **target)
    assert mpt("test", "--config", "fine_tuning", *untuned).code == 0


@pytest.mark.parametrize("kind", [FineTuning, LanguageModeling])
def test_weights_whose_rounding_swallows_the_steps_are_not_learned(kind, model_folder):
    learner = kind(str(model_folder("t5")), backbone_options=BackboneOptions(dtype="bfloat16"))
    with pytest.raises(UserError, match=r"less than what bfloat16 rounds off; leave out .*precision bf16-mixed"):
        learner.prepare()


@pytest.mark.long
def test_a_start_that_cannot_be(tmp_path, model_folder):
    with pytest.raises(UserError, match=r"nowhere: model\.safetensors is missing"):
        FineTuning(str(model_folder("t5")), start=str(tmp_path / "nowhere")).prepare()
    other = t5(tmp_path / "wide", d_model=16)
    with pytest.raises(UserError, match=r"wide/model\.safetensors does not hold the weights of .*t5, or is damaged"):
        FineTuning(str(model_folder("t5")), start=str(other)).prepare()
    deeper = t5(tmp_path / "deep", num_layers=3)
    with pytest.raises(UserError, match=r"does not hold the weights.* is in one of them alone"):
        FineTuning(str(model_folder("t5")), start=str(deeper)).prepare()
    half = shutil.copytree(model_folder("t5"), tmp_path / "half")
    content = (half / "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="or is damaged"):
        FineTuning(str(model_folder("t5")), start=str(half)).prepare()
