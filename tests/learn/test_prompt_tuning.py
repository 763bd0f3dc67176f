"""Prompt tuning through Lightning against a bare loop, and what it must not touch."""

from __future__ import annotations

import hashlib

import pytest
import pytorch_lightning as pl
import torch
from support.chats import chat_model
from support.toy import write_toy
from transformers.optimization import Adafactor

from mpt.backbone.encoder_decoder import EncoderDecoder
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.learn import PromptAdafactor, PromptTuning
from mpt.prompt.initialisers import TaskNames, Uniform
from mpt.util.errors import UserError

OPTIONS = BackboneOptions(max_input_length=32, max_target_length=4)


def trainer(tmp_path, **changes) -> pl.Trainer:
    settings = {
        "max_steps": 6,
        "max_epochs": -1,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "default_root_dir": tmp_path,
    }
    return pl.Trainer(**settings | changes)


def digest(module: torch.nn.Module) -> str:
    total = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        total.update(name.encode() + weight.numpy().tobytes())
    return total.hexdigest()


@pytest.fixture
def data(tmp_path) -> FewShotData:
    return FewShotData("toy", root=str(write_toy(tmp_path / "data")), metric="ACC", batch_size=3)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2"])
def test_lightning_learns_what_a_bare_loop_learns(kind, model_folder, data, tmp_path):
    learner = PromptTuning(str(model_folder(kind)), prompt_length=4, init=Uniform(), backbone_options=OPTIONS)
    learner.prepare()
    before = digest(learner.backbone)
    prompt = learner.prompt.weight.detach().clone().requires_grad_()
    learner.train(False)  # without dropout, so that the two can be compared
    learner.on_fit_start = lambda: learner.eval()
    trainer(tmp_path).fit(learner, data)

    backbone = FrozenBackbone(str(model_folder(kind)), OPTIONS).eval()
    optimizer = Adafactor([prompt], lr=0.3, weight_decay=1e-5, scale_parameter=False, relative_step=False)
    for _, batch in zip(range(6), FewShotData.train_dataloader(data_without_trainer(data)), strict=False):
        tensors = backbone.encode(batch.inputs, batch.targets)
        loss = token_mean(backbone.loss(prompt, tensors), tensors)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(learner.prompt.weight, prompt, rtol=1e-5, atol=1e-6)
    assert digest(learner.backbone) == before, "the frozen weights changed"


def data_without_trainer(data: FewShotData) -> FewShotData:
    return FewShotData(data.task_name, root=data.root, metric=data.metric, batch_size=data.batch_size)


def test_dropout_is_on_in_training_and_off_in_evaluation(model_folder, data, tmp_path):
    learner = PromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=OPTIONS)
    learner.prepare()
    seen = []
    plain = EncoderDecoder.losses

    def losses(self, *given):
        seen.append((learner.trainer.state.stage.value, self.model.training))
        return plain(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncoderDecoder, "losses", losses)
        trainer(tmp_path, limit_val_batches=1, val_check_interval=2, check_val_every_n_epoch=None).fit(learner, data)
    assert set(seen) == {("train", True), ("validate", False), ("sanity_check", False)}


def test_a_prompt_starts_from_the_names_of_the_datas_tasks(model_folder, data, tmp_path):
    learner = PromptTuning(
        str(model_folder("t5")),
        prompt_length=4,
        init=TaskNames(),
        optimizer=lambda params: torch.optim.SGD(params, lr=0.0),
        backbone_options=OPTIONS,
    )
    trainer(tmp_path, max_steps=1).fit(learner, data)
    letters = learner.backbone.tokenizer("toy", add_special_tokens=False)["input_ids"]
    expected = learner.backbone.model.get_input_embeddings().weight[letters].mean(0)
    torch.testing.assert_close(learner.prompt.weight[0].detach(), expected.detach())


@pytest.mark.parametrize("behind", [True, False])
def test_a_prompt_is_not_tested_without_the_chat_template_that_it_was_learned_behind(behind, data, tmp_path):
    folder = chat_model(tmp_path / "model", "gemma")
    learners = {}
    for chats in (True, False):
        learner = PromptTuning(str(folder), 4, Uniform(), backbone_options=BackboneOptions(chat_template=chats))
        learner.seed = 1
        learner.build(())
        learners[chats] = learner
    learners[behind].save_learned(tmp_path / "prompt", {})
    learners[behind].load_learned(tmp_path / "prompt")
    with pytest.raises(UserError, match=f"{'behind' if behind else 'without'} a chat template"):
        learners[not behind].load_learned(tmp_path / "prompt")


def test_what_is_cut_is_told(model_folder, data, tmp_path, caplog):
    options = BackboneOptions(max_input_length=8, max_target_length=2)
    fit = trainer(tmp_path, max_steps=4)
    fit.fit(PromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=options), data)
    # Four inputs of 10 to 13 letters, and the answers yes and no with their end.
    assert "4 of 4 inputs were longer than max_input_length=8 tokens and were cut (the prompt is kept" in caplog.text
    told = "4 of 4 train, 3 of 3 dev and 5 of 5 test outputs of toy are longer than max_target_length=2 tokens"
    assert caplog.text.count("longer than max_target") == 1 and told in caplog.text


def test_a_mixture_is_learned_by_the_same_learner(model_folder, tmp_path):
    root = tmp_path / "data"
    write_toy(root, "glue-rte")
    write_toy(root, "glue-wnli")
    mixture = MixtureData(tasks=["glue-rte", "glue-wnli"], root=str(root), seeds=[13], batch_size=4)
    learner = PromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=OPTIONS)
    learner.prepare()
    start = learner.prompt.weight.detach().clone()
    trainer(tmp_path).fit(learner, mixture)
    assert not torch.equal(start, learner.prompt.weight)


def test_lesters_adafactor_is_transformers_with_a_constant_rate():
    """Its first step is the rate times the normalised gradient, whatever the parameter's size."""
    weight = torch.nn.Parameter(torch.full((2, 3), 100.0))
    weight.grad = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    PromptAdafactor([weight], lr=0.3, weight_decay=0.0).step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 3), 99.7), rtol=0, atol=1e-4)


def test_a_learning_rate_schedule_moves_every_step(model_folder, data, tmp_path):
    learner = PromptTuning(
        str(model_folder("t5")),
        prompt_length=4,
        optimizer=lambda params: torch.optim.SGD(params, lr=1.0),
        lr_scheduler=lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=6),
        backbone_options=OPTIONS,
    )
    fit = trainer(tmp_path)
    fit.fit(learner, data)
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)
