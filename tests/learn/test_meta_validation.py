"""Meta-validation: prompts adapted to held-out tasks, judged on their dev examples, and training none the wiser."""

from __future__ import annotations

import pytest
import torch
from support.meta_toy import episodes, fit, learner, meta_fit
from support.toy import json_lines

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.callbacks import KeepBest
from mpt.data.fewshot.files import load_fewshot
from mpt.data.modules.episodes import EpisodeData
from mpt.learn.meta import MAML, FoMAML, Reptile
from mpt.metrics import crossfit as metrics
from mpt.prompt.files import load_prompt
from mpt.util.errors import Diverged, UserError

SOURCES = ["syn-sentiment-letter", "syn-rewrite-future"]
HELD_OUT = {"syn-rewrite-past": "Rouge-L", "syn-list-reverse": "Rouge-L", "syn-sentiment-review": "ACC"}
LENGTHS = BackboneOptions(max_input_length=64, max_target_length=16)


def suite(**changes):
    settings = {"tasks": SOURCES, "validation": list(HELD_OUT), "seeds": [13], "batch_size": 4, "eval_batch_size": 12}
    return EpisodeData(**settings | changes)


def tiny_fit(folder, **changes):
    """Arguments of a run on mpt-tiny and its suite that is evaluated every two steps."""
    settings = {
        "data__tasks": f"[{','.join(SOURCES)}]",
        "data__validation": f"[{','.join(HELD_OUT)}]",
        "data__seeds": "[13]",
        "model__backbone_options__max_input_length": LENGTHS.max_input_length,
        "model__backbone_options__max_target_length": LENGTHS.max_target_length,
        "model__algorithm__inner_lr": 0.3,
        "trainer__val_check_interval": 2,
        "trainer__callbacks": '[{"class_path":"mpt.callbacks.KeepBest"},{"class_path":"mpt.callbacks.MetricsFile"}]',
    }
    return meta_fit("mpt-tiny", "synthetic", folder, **settings | changes)


@pytest.mark.long
@pytest.mark.parametrize(
    ("algorithm", "steps"), [(MAML(0.1), 2), (FoMAML(0.1, 2), None), (Reptile(0.1, 2), None)], ids=["MAML", "Fo", "Re"]
)
def test_scores_are_of_prompts_adapted_by_hand(algorithm, steps, tmp_path):
    module = learner("mpt-tiny", algorithm, backbone_options=LENGTHS, validation_steps=steps)
    trainer = fit(module, suite(), tmp_path, max_steps=2, val_check_interval=2)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}

    backbone = FrozenBackbone("mpt-tiny", LENGTHS).eval()
    scores, losses = {}, []
    data = suite()
    data.setup()
    for batch in data.val_dataloader():
        (episode,) = batch.episodes
        (support,) = episode.support
        train = {example.input for example in load_fewshot("synthetic", episode.task, 13).train}
        assert set(support.inputs) <= train and len(support) == 4
        prompt = module.prompt.weight.detach()
        for _ in range(2):
            prompt = prompt.requires_grad_()
            encoded = backbone.encode(support.inputs, support.targets)
            (gradient,) = torch.autograd.grad(token_mean(backbone.loss(prompt, encoded), encoded), prompt)
            prompt = (prompt - 0.1 * gradient).detach()
        dev = load_fewshot("synthetic", episode.task, 13).dev
        encoded = backbone.encode([example.input for example in dev], [example.targets[0] for example in dev])
        answers = backbone.answer(prompt, encoded).texts
        scores[episode.task] = metrics.score(HELD_OUT[episode.task], answers, [example.targets for example in dev])
        losses.append(backbone.loss(prompt, encoded).sum() / encoded.target_lengths.sum())
    assert set(scores) == set(HELD_OUT) and len(set(scores.values())) > 1, "scores that tell nothing apart"
    for task, score in scores.items():
        assert logged[f"dev/{task}"] == pytest.approx(score)
    assert logged["dev/score"] == pytest.approx(sum(scores.values()) / len(scores))
    # The loss is a mean over batches of twelve examples, whose answers differ in length.
    assert logged["dev/loss"] == pytest.approx(float(sum(losses)) / len(losses), rel=0.03)


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [MAML(0.002), Reptile(0.002, 3)], ids=["MAML", "Reptile"])
def test_training_is_the_same_to_the_bit_with_validation_and_without(algorithm, root, model_folder, tmp_path):
    """With dropout on, whose masks validation neither draws nor moves on."""
    prompts = []
    for validation in (None, ["ag_news", "superglue-cb"]):
        module = learner(model_folder("t5"), algorithm)
        fit(module, episodes(root, validation=validation), tmp_path, max_steps=4, val_check_interval=1)
        assert module.backbone.model.training
        prompts.append(module.prompt.weight.detach())
    assert torch.equal(*prompts)


@pytest.mark.long
def test_the_first_best_prompt_on_dev_is_kept(root, model_folder, tmp_path, monkeypatch):
    scores, prompts = iter([0.2, 0.7, 0.7, 0.1]), []
    monkeypatch.setattr(metrics, "score", lambda *_: next(scores))
    module = learner(model_folder("t5"), FoMAML(0.002))
    module.on_validation_start = lambda: prompts.append(module.prompt.weight.detach().clone())
    data = episodes(root, validation=["ag_news"])
    fit(module, data, tmp_path, max_steps=4, val_check_interval=1, callbacks=[KeepBest()])
    kept = load_prompt(tmp_path / "prompt")
    assert torch.equal(kept.weight, prompts[1]) and not torch.equal(prompts[1], prompts[2])
    assert (kept.facts["step"], kept.facts["dev/score"]) == (2, pytest.approx(0.7))


@pytest.mark.long
def test_the_best_prompt_on_dev_is_validated_with_its_own_rates(mpt, tmp_path):
    learned = {"model__learn_inner_lr": "token", "model__inner_lr_lr": 0.5}
    options = tiny_fit(tmp_path / "run", **learned)
    ended = mpt("fit", "--config", "maml", *options)
    assert ended.code == 0, ended.err
    rows = json_lines(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 6]
    best = max(rows, key=lambda row: row["dev/score"])
    facts = load_prompt(tmp_path / "run" / "prompt").facts
    assert (facts["step"], facts["dev/score"]) == (best["step"], pytest.approx(best["dev/score"]))

    assert mpt("validate", "--config", "maml", *options).code == 0
    again = json_lines(tmp_path / "run" / "metrics.jsonl")[-1]
    for name in ("dev/loss", "dev/score", *(f"dev/{task}" for task in HELD_OUT)):
        assert again[name] == pytest.approx(best[name], rel=1e-6)


@pytest.mark.long
def test_inner_rates_of_another_kind_are_not_taken_over(mpt, tmp_path):
    options = tiny_fit(tmp_path / "run", trainer__max_steps=2)
    assert mpt("fit", "--config", "maml", *options).code == 0
    ended = mpt("validate", "--config", "maml", *options, "--model.learn_inner_lr=token")
    assert ended.code == 2 and "learn_inner_lr" in ended.err and "Traceback" not in ended.err


@pytest.mark.long
def test_what_was_learned_in_a_prompts_place_is_not_validated_as_a_prompt(mpt, tmp_path):
    options = tiny_fit(tmp_path / "run", model__reparameterisation="Residual", data__validation="[syn-list-reverse]")
    assert mpt("fit", "--config", "fomaml", *options).code == 0
    ended = mpt("validate", "--config", "fomaml", *options)
    assert ended.code == 2 and "holds only the prompt that Residual made of it" in ended.err


def test_a_task_without_labels_is_not_judged_by_the_likeliest(mpt, tmp_path):
    options = tiny_fit(tmp_path / "run", model__answers="labels", data__validation="[syn-rewrite-past]")
    ended = mpt("fit", "--config", "fomaml", *options)
    assert ended.code == 2 and "model.answers labels: syn-rewrite-past has no labels; leave it out" in ended.err


@pytest.mark.long
def test_inference_mode_is_refused_where_it_forbids_gradients(mpt, tmp_path):
    """Lightning leaves it off within fit, whatever it is asked."""
    options = tiny_fit(tmp_path / "run", trainer__max_steps=2, trainer__inference_mode="true")
    assert mpt("fit", "--config", "maml", *options).code == 0
    ended = mpt("validate", "--config", "maml", *options)
    assert ended.code == 2 and "Traceback" not in ended.err and ended.err.count("mpt: error") == 1
    assert "trainer.inference_mode false" in ended.err


@pytest.mark.long
def test_validation_that_would_never_come_is_refused_before_training(mpt, tmp_path):
    ended = mpt("fit", "--config", "maml", *tiny_fit(tmp_path / "run", trainer__val_check_interval=None))
    assert ended.code == 2 and "Traceback" not in ended.err
    assert "needs trainer.val_check_interval" in ended.err and not (tmp_path / "run" / "prompt").exists()


def test_a_loop_that_explodes_in_validation_stops_the_run(root, model_folder, tmp_path):
    module = learner(model_folder("t5"), FoMAML(0.002), validation_steps=2)
    loss = module._loss
    # Training goes on as ever; only the held-out task's inner loop, which has no graph after it, breaks.
    module._loss = lambda prompt, batch: loss(prompt, batch) * (1 if module.training else float("nan"))
    with pytest.raises(Diverged, match=r"task ag_news exploded at step 1.*inner rate 0.002"):
        fit(module, episodes(root, validation=["ag_news"]), tmp_path, val_check_interval=1)


@pytest.mark.long
def test_an_unknown_value_to_keep_the_best_by_is_named(tmp_path):
    module = learner("mpt-tiny", FoMAML(0.1), backbone_options=LENGTHS)
    with pytest.raises(UserError, match=r"dev/ACC.*dev/score"):
        fit(module, suite(), tmp_path, val_check_interval=1, callbacks=[KeepBest("dev/ACC")])
