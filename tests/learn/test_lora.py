"""LoRA as a learner, against PEFT by itself."""

from __future__ import annotations

import json
from functools import partial

import peft
import pytest
import torch
from support.small_models import llama
from transformers import AutoModelForCausalLM

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone, FrozenBackbone, token_mean
from mpt.learn import IA3, LoRA
from mpt.util.errors import UserError

pytestmark = pytest.mark.long

TEXTS, TARGETS = ["a text", "another, longer one"], ["yes", "no"]


def words(model, root, folder, **more):
    known = {
        "model.backbone": model,
        "model.backbone_options.max_input_length": 16,
        "model.backbone_options.max_target_length": 3,
        "data.root": root,
        "data.task": "ag_news",
        "trainer.default_root_dir": folder,
        "trainer.max_steps": 4,
        "trainer.val_check_interval": 2,
        "trainer.enable_progress_bar": "false",
        "trainer.logger": "false",
        **more,
    }
    return [word for name, value in known.items() for word in (f"--{name}", value)]


@pytest.mark.parametrize(("name", "kind"), [("lora", LoRA), ("ia3", IA3)])
def test_what_is_learned_is_a_folder_that_peft_loads(name, kind, mpt, model_folder, root, tmp_path):
    model = model_folder("llama")
    assert mpt("fit", "--config", name, *words(model, root, tmp_path / "run")).code == 0
    learner = kind(str(model), backbone_options=BackboneOptions(max_target_length=3))
    learner.prepare()
    batch = learner.backbone.encode(TEXTS, TARGETS)
    untouched = Backbone(str(model), BackboneOptions(max_target_length=3)).eval()
    with torch.no_grad():
        before = learner.backbone.eval().loss(None, batch)
        learner.load_learned(tmp_path / "run" / "adapter")
        after = learner.backbone.loss(None, batch)
        plain = untouched.loss(None, batch)
    torch.testing.assert_close(before, plain)  # a change begins as nothing
    assert (after - before).abs().max() > 1e-6
    theirs = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), tmp_path / "run" / "adapter")
    for row, (text, target) in enumerate(zip(TEXTS, TARGETS, strict=True)):
        one = learner.backbone.encode([text], [target])
        ids = torch.cat([one.input_ids, one.labels], dim=1)
        labels = torch.cat([torch.full_like(one.input_ids, -100), one.labels], dim=1)
        with torch.no_grad():
            loss = theirs.eval()(input_ids=ids, labels=labels).loss * one.labels.shape[1]
        assert float(loss) == pytest.approx(float(after[row]), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (partial(LoRA, rank=4, alpha=8), peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8)),
        (IA3, peft.IA3Config(task_type="CAUSAL_LM")),
    ],
)
def test_a_step_is_that_of_peft(kind, config, tmp_path):
    model = llama(tmp_path / "model")
    learner = kind(str(model), optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1))
    learner.seed = 3
    learner.prepare()
    torch.manual_seed(3)
    theirs = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    optimizer = learner.make_optimizer()
    other = torch.optim.SGD([weight for weight in theirs.parameters() if weight.requires_grad], lr=0.1)
    batch = learner.backbone.encode(TEXTS[:1], TARGETS[:1])
    ids = torch.cat([batch.input_ids, batch.labels], dim=1)
    labels = torch.cat([torch.full_like(batch.input_ids, -100), batch.labels], dim=1)
    for _ in range(3):
        mine, own = token_mean(learner.backbone.loss(None, batch), batch), theirs(input_ids=ids, labels=labels).loss
        assert mine.item() == pytest.approx(own.item(), rel=1e-5)
        for loss, one in ((mine, optimizer), (own, other)):
            one.zero_grad()
            loss.backward()
            one.step()


def test_without_a_step_the_model_itself_is_tested(mpt, model_folder, root, tmp_path):
    folder = tmp_path / "run"
    more = {"trainer.max_steps": 0, "model.answers": "labels"}
    assert mpt("fit", "--config", "lora", *words(model_folder("llama"), root, folder, **more)).code == 0
    assert mpt("test", "--config", folder / "config.yaml").code == 0
    backbone = FrozenBackbone(
        str(model_folder("llama")), BackboneOptions(max_input_length=16, max_target_length=3)
    ).eval()
    for line in (folder / "predictions.jsonl").read_text().splitlines():
        row = json.loads(line)
        scores = backbone.score(None, backbone.encode([row["input"]]), ["g", "b"])[0]
        assert row["prediction"] == ["g", "b"][int(scores.argmax())]


def test_a_change_is_read_at_the_strength_that_it_was_learned_at(mpt, model_folder, root, tmp_path):
    run = words(model_folder("llama"), root, tmp_path / "run")
    assert mpt("fit", "--config", "lora", *run).code == 0
    ended = mpt("test", "--config", "lora", *run, "--model.alpha", 64)
    assert ended.code == 2 and "was learned with lora_alpha 16, not 64; give what it had" in ended.err
    assert mpt("test", "--config", "lora", *run).code == 0


def test_mistakes_are_sentences(mpt, model_folder, root, tmp_path):
    for option, value, told in (
        ("model.rank", 0, "model.rank must be at least 1, not 0"),
        ("model.dropout", 1, "model.dropout must be from 0 to below 1, not 1"),
        ("model.target_modules", "[q_proj,nowhere]", "model.target_modules: no layer of "),
        ("model.target_modules", "[embed_tokens]", "model.target_modules: only embeddings"),
        ("model.alpha", 0, "model.alpha must be at least 1, not 0"),
    ):
        given = words(model_folder("llama"), root, tmp_path / "bad", **{option: value})
        found = mpt("fit", "--config", "lora", *given)
        assert found.code == 2 and told in found.err, found.err
    with pytest.raises(UserError, match=r"model.feedforward_modules: b is not among model.target_modules"):
        IA3(str(model_folder("llama")), target_modules=["a"], feedforward_modules=["b"])
    learner = LoRA(str(model_folder("llama")))
    learner.prepare()
    with pytest.raises(UserError, match=r"adapter_model.safetensors is missing; a run of LoRA leaves it"):
        learner.load_learned(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match=r"does not fit model.rank 8, or is damaged"):
        learner.load_learned(tmp_path)
