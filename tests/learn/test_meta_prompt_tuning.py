"""MetaPromptTuning's outer step against arithmetic by hand, and what it refuses."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch
from support.meta_toy import OPTIONS, RATE, episodes, fit, learner, meta_gradients, sgd
from support.small_models import bart, t5
from torch.optim.lr_scheduler import LinearLR

from mpt.backbone.loading import BackboneOptions
from mpt.learn import MetaPromptTuning
from mpt.learn.meta import MAML, FoMAML, HigherMAML, MetaGradient, Reptile
from mpt.util.errors import UserError


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A smooth T5 without dropout, so that what is computed beside the run is the same function."""
    return t5(tmp_path_factory.mktemp("models") / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new")


def first_batch(root, **changes):
    return next(iter(episodes(root, **changes).train_dataloader()))


def prompt_of(module):
    return module.prompt.weight.detach().clone()


@pytest.fixture
def start(still):
    """Where the prompts of these runs begin."""
    return beginning(learner(still, FoMAML()))


def beginning(module):
    module.prepare()
    return prompt_of(module)


# The outer step --------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [MAML(RATE, 2), FoMAML(RATE, 2), Reptile(RATE, 2)], ids=repr)
def test_a_step_goes_along_the_mean_of_the_episodes_meta_gradients(algorithm, still, root, start, tmp_path):
    module = learner(still, algorithm, optimizer=sgd(0.5))
    fit(module, episodes(root, support_batches=2), tmp_path, max_steps=1)
    one, two = meta_gradients(algorithm, still, start, first_batch(root, support_batches=2))
    assert not torch.allclose(one, two, rtol=0.1)
    torch.testing.assert_close(prompt_of(module), start - 0.5 * (one + two) / 2, rtol=1e-6, atol=1e-6)


@pytest.mark.long
def test_accumulated_meta_batches_are_one_large_meta_batch_to_the_bit(model_folder, root, tmp_path):
    """Dropout is on: an episode's masks do not depend on the meta-batch it comes in."""
    large = learner(model_folder("t5"), MAML(RATE))
    assert fit(large, episodes(root, meta_batch_size=4), tmp_path, max_steps=3).global_step == 3
    small = learner(model_folder("t5"), MAML(RATE), accumulate_grad_batches=2)
    trainer = fit(small, episodes(root, meta_batch_size=2), tmp_path, max_steps=3)
    assert trainer.global_step == 3 and trainer.fit_loop.total_batch_idx == 5
    assert torch.equal(prompt_of(large), prompt_of(small))


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [MAML(RATE, 2), FoMAML(RATE, 2), Reptile(RATE, 2)], ids=repr)
def test_episodes_side_by_side_take_the_step_of_one_by_one(algorithm, still, root, tmp_path):
    """Seven in shares of three, the last of one; their inputs are of one length, so that padding adds no rounding."""
    learned = {} if isinstance(algorithm, Reptile) else {"learn_inner_lr": "token", "inner_lr_lr": 0.1}
    ends = []
    for parallel in (1, 3):
        module = learner(still, algorithm, parallel_episodes=parallel, **learned)
        trainer = fit(module, episodes(root, meta_batch_size=7, support_batches=2), tmp_path, max_steps=1)
        losses = {name: value.item() for name, value in trainer.callback_metrics.items()}
        ends.append((module._learned(), losses))
    (alone, losses), (together, others) = ends
    for weight, other in zip(alone, together, strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-2, atol=1e-3)
    assert losses == pytest.approx(others, rel=1e-5)


def test_of_episodes_side_by_side_the_one_that_exploded_is_named(still, start):
    module = learner(still, MAML(RATE), parallel_episodes=2)
    beginning(module)
    module.trainer = SimpleNamespace(global_step=3)
    far = start + torch.tensor([0.0, 1e3]).view(2, 1, 1) * start
    losses = torch.tensor([1.0, 2.0])
    result = MetaGradient(torch.zeros_like(far), far, losses, losses, lambda: losses)
    assert "task trec exploded at step 3" in module._trouble(result, ["emo", "trec"])


@pytest.mark.long
@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_a_meta_gradient_is_clipped_to_its_largest_norm(limit, still, root, start, tmp_path):
    module = learner(still, MAML(RATE), optimizer=sgd(1.0), gradient_clip_val=limit)
    fit(module, episodes(root), tmp_path, max_steps=1)
    gradient = sum(meta_gradients(MAML(RATE), still, start, first_batch(root))) / 2
    expected = gradient * min(1, limit / gradient.norm())
    torch.testing.assert_close(start - prompt_of(module), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.long
def test_the_schedule_moves_once_an_optimiser_step(still, root, tmp_path):
    rates = []

    class Noting(torch.optim.SGD):
        def step(self, *arguments, **options):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*arguments, **options)

    module = learner(
        still,
        FoMAML(RATE),
        optimizer=lambda params: Noting(params, lr=1.0),
        lr_scheduler=lambda optimizer: LinearLR(optimizer, 1.0, 0.0, total_iters=4),
        accumulate_grad_batches=2,
    )
    fit(module, episodes(root), tmp_path, max_steps=4)
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.long
def test_losses_are_logged_and_the_support_loss_after_only_where_it_is_written_down(still, root, tmp_path):
    algorithm = MAML(RATE, 3)
    module = learner(still, algorithm, optimizer=sgd(0.0))
    logged = []
    module.on_train_batch_end = lambda *_: logged.append(dict(module.trainer.callback_metrics))
    fit(module, episodes(root), tmp_path, max_steps=2, log_every_n_steps=2)
    assert set(logged[0]) == {"train/support_loss", "train/query_loss"}
    before, after = logged[1]["train/support_loss"], logged[1]["train/support_loss_after"]
    assert after < before
    fit(learner(still, algorithm), episodes(root), tmp_path, log_every_n_steps=0)  # Lightning's word for never


# What is learned along: inner rates ------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("kind", "rows"), [("scalar", 1), ("token", 4)])
def test_inner_rates_follow_the_slope_of_the_query_loss(kind, rows, root, tmp_path):
    """By differences of the mean query loss along the logarithm of each rate, on a model with learned weights."""
    algorithm = MAML(0.02, 2)
    module = learner("mpt-tiny", algorithm, optimizer=sgd(0.0), learn_inner_lr=kind, inner_lr_lr=1.0)
    fit(module, episodes(root), tmp_path, max_steps=1)
    at = torch.full((rows,), 0.02).log()
    moved = module.log_inner_lr.detach() - at
    assert moved.shape == (rows,) and (moved != 0).all()
    module.eval()

    def outer(log_rate):
        losses = []
        for episode in first_batch(root).episodes:
            encode = module.backbone.encode
            support = [encode(text.inputs, text.targets) for text in episode.support]
            adapted = algorithm.adapt(module._loss, module.prompt.weight, support, log_rate.exp().unsqueeze(-1))
            losses.append(module._loss(adapted, encode(episode.query.inputs, episode.query.targets)).item())
        return sum(losses) / len(losses)

    for row, width in zip(range(rows), 0.1 * torch.eye(rows), strict=True):
        slope = (outer(at + width) - outer(at - width)) / 0.2
        assert -moved[row].item() == pytest.approx(slope, rel=0.02, abs=2e-5)


def test_inner_rates_stay_positive_under_any_step(still, root, tmp_path):
    module = learner(still, FoMAML(RATE), optimizer=sgd(0.0), learn_inner_lr="token", inner_lr_lr=300.0)
    fit(module, episodes(root), tmp_path, max_steps=1)
    assert (module.log_inner_lr - torch.tensor(RATE).log()).abs().max() > 1 and (module.inner_rate() > 0).all()


def test_inner_rates_are_refused_where_nothing_could_learn_them(still):
    with pytest.raises(UserError, match=r"learn_inner_lr.*Reptile cannot.*MAML and FoMAML can"):
        learner(still, Reptile(), learn_inner_lr="scalar")
    with pytest.raises(UserError, match=r"learn_inner_lr.*HigherMAML cannot"):
        learner(still, HigherMAML(RATE), learn_inner_lr="token")


def test_an_engine_takes_episodes_one_by_one(still):
    with pytest.raises(UserError, match=r"model.parallel_episodes must be 1.*HigherMAML"):
        learner(still, HigherMAML(RATE), parallel_episodes=2)


# What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [("gradient_clip_val", 0), ("accumulate_grad_batches", 0), ("inner_lr_lr", 0.0), ("validation_steps", 0)],
)
def test_numbers_that_make_no_sense_are_named(option, value):
    with pytest.raises(UserError, match=f"model.{option}.*{value}"):
        MetaPromptTuning(**{option: value})


def test_half_precision_is_refused_and_bfloat16_arithmetic_is_not(tmp_path):
    module = learner(bart(tmp_path / "bart"), MAML())
    module.trainer = SimpleNamespace(precision="16-mixed", datamodule=None)
    with pytest.raises(UserError, match=r"trainer.precision 16-mixed.*bf16-mixed"):
        module.setup("fit")


@pytest.mark.long
def test_finite_differences_of_bfloat16_weights_are_refused_and_double_backward_is_not(model_folder, root, tmp_path):
    options = BackboneOptions(dtype="bfloat16", max_input_length=16, max_target_length=2)
    refused = learner(model_folder("bart"), MAML(RATE), backbone_options=options)
    with pytest.raises(UserError, match=r"bfloat16 weights.*hessian exact.*bf16-mixed"):
        refused.prepare()
    module = learner(model_folder("bart"), MAML(RATE, hessian="exact"), backbone_options=options)
    module.prepare()
    before = prompt_of(module)
    fit(module, episodes(root), tmp_path)
    assert module.prompt.weight.dtype == torch.float32 and module.prompt.weight.isfinite().all()
    assert not torch.equal(before, prompt_of(module))


@pytest.mark.long
@pytest.mark.parametrize("hessian", ["finite_difference", "exact"])
def test_bfloat16_arithmetic_gives_the_step_of_float32_to_its_precision(hessian, root, tmp_path):
    algorithm = MAML(0.02, 2, hessian=hessian)
    ends = []
    for precision in ("32-true", "bf16-mixed"):
        module = learner("mpt-tiny", algorithm, optimizer=sgd(1.0))
        fit(module, episodes(root), tmp_path, max_steps=1, precision=precision)
        ends.append(prompt_of(module))
    step = ends[0] - beginning(learner("mpt-tiny", algorithm))
    assert 0 < (ends[1] - ends[0]).norm() < 0.03 * step.norm()


# A model with kinks --------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("kind", "option"), [("t5", {}), ("bart", {"activation_function": "relu"})])
def test_finite_differences_of_a_model_with_relu_are_warned_of_once(kind, option, tmp_path, caplog):
    folder = {"t5": t5, "bart": bart}[kind](tmp_path / kind, **option)
    with caplog.at_level(logging.WARNING, "mpt"):
        learner(folder, MAML()).prepare()
        (told,) = [record.getMessage() for record in caplog.records]
        assert "ReLU" in told and "model.algorithm.hessian exact" in told
        caplog.clear()
        for algorithm in (MAML(hessian="exact"), FoMAML(), Reptile()):
            learner(folder, algorithm).prepare()
    assert not caplog.records


@pytest.mark.parametrize("kind", ["still", "bart", "gpt2", "llama"])
def test_smooth_models_are_not_warned_of(kind, still, model_folder, caplog):
    with caplog.at_level(logging.WARNING, "mpt"):
        learner(still if kind == "still" else model_folder(kind), MAML(), backbone_options=OPTIONS).prepare()
    assert not caplog.records
