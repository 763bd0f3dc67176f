"""Prompts that are learned as something else: under prompt tuning, multi-task and meta-learning alike."""

from __future__ import annotations

import pytest
import torch
from support.meta_toy import RATE, episodes, learner, sgd
from support.meta_toy import fit as meta_fit
from support.small_models import t5
from support.toy import Mpt, json_lines, small_fit, write_toy

from mpt.learn import PromptTuning
from mpt.learn.meta import MAML, FoMAML, Reptile
from mpt.prompt.files import load_prompt
from mpt.prompt.mixture import Mixture
from mpt.prompt.residual import Residual
from mpt.prompt.superposition import Superposition
from mpt.util.errors import UserError

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", ["Residual", "Superposition"])
def test_a_run_stores_the_prompt_that_was_made(name, capsys, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt, run = Mpt(capsys), tmp_path / "run"
    fit = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), run, model__reparameterisation=name)
    options = ["--config", "prompt_tuning", *fit]
    ended = mpt("fit", *options)
    assert ended.code == 0, ended.err
    stored = load_prompt(run / "prompt").weight
    assert stored.shape[0] == 4
    again = mpt("test", *options)
    assert again.code == 0
    scores = [line["test/score"] for line in json_lines(run / "metrics.jsonl") if "test/score" in line]
    assert len(scores) == 1
    plain = [word for word in options if word not in ("--model.reparameterisation", name)]
    assert mpt("test", *plain).code == 0
    assert [line["test/score"] for line in json_lines(run / "metrics.jsonl") if "test/score" in line][-1] == scores[0]


def test_a_stopped_run_goes_on_to_the_same_prompt(capsys, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt, root = Mpt(capsys), write_toy(tmp_path / "data")
    for name, steps in (("whole", (6,)), ("halves", (4, 6))):
        for number, last in enumerate(steps):
            fit = small_fit(
                model_folder("t5"), root, tmp_path / name, trainer__max_steps=last, model__reparameterisation="Residual"
            )
            ended = mpt("fit", "--config", "prompt_tuning", *fit, *(["--ckpt_path", "last"] if number else []))
            assert ended.code == 0, ended.err
    whole, halves = (load_prompt(tmp_path / name / "prompt").weight for name in ("whole", "halves"))
    assert torch.equal(whole, halves)


def test_a_run_does_not_go_on_among_other_fixed_rows(capsys, tmp_path, monkeypatch, model_folder):
    """Superposition's embeddings are drawn by the seed, and no checkpoint holds them."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt, root = Mpt(capsys), write_toy(tmp_path / "data")
    known = {"model__reparameterisation": "Superposition", "model__reparameterisation__mixed": 8}
    fit = small_fit(model_folder("t5"), root, tmp_path / "run", **known)
    assert mpt("fit", "--config", "prompt_tuning", *fit).code == 0
    more = ["--trainer.max_steps", 8, "--ckpt_path", "last"]
    ended = mpt("fit", "--config", "prompt_tuning", *fit, *more, "--seed_everything", 99)
    assert ended.code == 2 and "is of another run" in ended.err and "fixed rows" in ended.err
    assert mpt("fit", "--config", "prompt_tuning", *fit, *more).code == 0


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    return t5(tmp_path_factory.mktemp("models") / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new")


@pytest.mark.parametrize("kind", [Residual(3), Superposition(6)], ids=["Residual", "Superposition"])
@pytest.mark.parametrize("algorithm", [MAML(RATE, 2), FoMAML(RATE, 2), Reptile(RATE, 2)], ids=repr)
def test_a_meta_learner_takes_its_steps_in_what_is_learned(algorithm, kind, still, root, tmp_path):
    """Against the same algorithm on a loss of the composed function, by hand."""
    module = learner(still, algorithm, optimizer=sgd(0.5), reparameterisation=kind)
    data = episodes(root)
    module.prepare()
    start = module.prompt.weight.detach().clone()
    ways = [kind(start)]
    meta_fit(module, data, tmp_path, max_steps=1)
    assert module.prompt.weight.shape == start.shape and module.whole.shape == ways[0].shape
    gradients = []
    for episode in next(iter(episodes(root).train_dataloader())).episodes:
        support = [module.backbone.encode(text.inputs, text.targets) for text in episode.support]
        query = module.backbone.encode(episode.query.inputs, episode.query.targets)

        def loss(learned, batch):
            return module.backbone.loss(kind(learned), batch).sum() / batch.target_lengths.sum()

        gradients.append(algorithm(loss, start, support, query, None).gradient)
    moved = start - 0.5 * torch.stack(gradients).mean(0)
    torch.testing.assert_close(module.prompt.weight.detach(), moved, rtol=1e-5, atol=1e-6)


def test_a_kink_in_what_is_learned_is_told(still, caplog):
    for algorithm, told in ((MAML(RATE, 2), True), (MAML(RATE, 2, hessian="exact"), False), (FoMAML(RATE, 2), False)):
        caplog.clear()
        learner(still, algorithm, reparameterisation=Residual(3)).prepare()
        assert ("the reparameterisation Residual has ReLU layers" in caplog.text) == told


def test_the_folder_of_a_mixture_tells_its_weights_and_several_prompts_need_one(load_backbone, tmp_path):
    backbone = load_backbone("t5")

    def several(length, vocabulary):
        return torch.stack([vocabulary.embeddings[:length], vocabulary.embeddings[9 : 9 + length]])

    module = PromptTuning(prompt_length=4, init=several, reparameterisation=Mixture())
    module.build_on(backbone, ())
    with torch.no_grad():
        module.prompt.weight[-3:] = torch.tensor([0.2, 0.3, 0.5]).log()[:, None]
    module.save_learned(tmp_path / "prompt", {})
    assert load_prompt(tmp_path / "prompt").facts["mixture_weights"] == pytest.approx([0.2, 0.3, 0.5])
    for other in (None, Residual(3)):
        module = PromptTuning(prompt_length=4, init=several, reparameterisation=other)
        with pytest.raises(UserError, match=r"init function gives 2 prompts: .*Mixture"):
            module.build_on(backbone, ())


def test_side_by_side_runs_are_not_made_of_them(model_folder, tmp_path):
    from mpt.fit.parse import make_run
    from mpt.study.run.can_run_side_by_side import obstacle

    fit = small_fit(
        model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run", model__reparameterisation="Residual"
    )
    made = make_run(["fit", "--config", "prompt_tuning", *map(str, fit)])
    assert obstacle(made) == "the prompt is learned as a Residual"
