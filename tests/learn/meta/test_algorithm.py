"""What holds for every algorithm: nothing is changed, nothing is left behind, and what comes with a gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from support.closed_forms import Quadratic, curved, quadratics, start
from support.meta_episode import ALGORITHMS, LEARN_RATES, descend, relative_error

from mpt.learn.meta import MAML, FoMAML, Reptile
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError

RATES = {"t5": 0.3, "t5_gated": 0.03, "bart": 0.03, "gpt2": 0.03}

each = pytest.mark.parametrize("name", list(ALGORITHMS))


@pytest.mark.long
@each
@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2"])
def test_nothing_is_changed_and_no_graph_is_left(episode, name, kind):
    model = episode(kind, training=True)
    prompt = SoftPrompt(model.prompt).weight  # learned, as the learner's is
    batches = copy.deepcopy([*model.support, model.query])
    weights = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    rate = torch.tensor(RATES[kind], requires_grad=True) if name in LEARN_RATES else None
    found = ALGORITHMS[name](RATES[kind], 3)(model.loss, prompt, model.support, model.query, rate=rate)

    assert torch.equal(prompt, model.prompt) and prompt.grad is None and prompt.requires_grad
    assert rate is None or (rate.grad is None and rate.item() == pytest.approx(RATES[kind]))
    for batch, before in zip([*model.support, model.query], batches, strict=True):
        for field in ("input_ids", "input_mask", "labels"):
            assert torch.equal(getattr(batch, field), getattr(before, field))
    assert all(torch.equal(value, weights[key]) for key, value in model.backbone.state_dict().items())
    assert all(weight.grad is None for weight in model.backbone.parameters())
    assert model.backbone.training

    results = [found.gradient, found.adapted, found.support_loss, found.query_loss, found.support_loss_after()]
    results += [] if found.rate_gradient is None else [found.rate_gradient]
    assert all(not part.requires_grad and part.dtype == torch.float32 for part in results)
    assert found.gradient.shape == found.adapted.shape == prompt.shape
    assert found.support_loss.shape == found.query_loss.shape == found.support_loss_after().shape == ()
    assert (found.rate_gradient is not None) == (name in LEARN_RATES)


@pytest.mark.long
@each
def test_under_no_grad_it_is_the_same(episode, name):
    model, algorithm = episode("t5", training=True), ALGORITHMS[name](0.3, 3)
    expected = model.run(algorithm)
    with torch.no_grad():
        found = model.run(algorithm)
    assert torch.equal(found.gradient, expected.gradient)
    assert torch.equal(found.query_loss, expected.query_loss)


@each
def test_weights_that_could_be_learned_get_no_gradient(name):
    weight = torch.ones(3, requires_grad=True)
    ALGORITHMS[name](0.1, 2)(lambda p, batch: (p * weight).square().sum(), torch.ones(2, 3), [None], None)
    assert weight.grad is None


@pytest.mark.long
@each
@pytest.mark.parametrize("kind", ["t5_gated", "bart", "gpt2"])
def test_gradient_checkpointing_changes_nothing(episode, name, kind):
    plain, checkpointed = (episode(kind, True, fresh=True, gradient_checkpointing=on) for on in (False, True))
    passes = {}
    for model in (plain, checkpointed):
        decoder = model.backbone.model.get_decoder()
        layers = next(getattr(decoder, name) for name in ("block", "layers", "h") if hasattr(decoder, name))
        inside = next(module for module in layers[0].modules() if not list(module.children()))
        inside.register_forward_pre_hook(
            lambda *_, on=model is checkpointed: passes.update({on: passes.get(on, 0) + 1})
        )
    algorithm = ALGORITHMS[name](RATES[kind], 2)
    found, expected = checkpointed.run(algorithm).gradient, plain.run(algorithm).gradient
    assert passes[True] > passes[False], "a checkpointed layer is run again for its gradient"
    assert relative_error(found, expected) < 1e-5


@each
def test_losses_that_come_with_the_gradient(episode, name):
    model, lr = episode("gpt2"), RATES["gpt2"]
    found = model.run(ALGORITHMS[name](lr, 3))
    adapted = descend(model.loss, model.prompt, model.support, lr, 3)
    assert relative_error(found.adapted, adapted) < 1e-6
    with torch.no_grad():
        expected = {
            "before": model.loss(model.prompt, model.support[0]),
            "after": model.loss(adapted, model.support[0]),
            "query": model.loss(adapted, model.query),
        }
    assert expected["after"] < expected["before"]
    got = {"before": found.support_loss, "after": found.support_loss_after(), "query": found.query_loss}
    torch.testing.assert_close(got, expected)


@each
def test_the_support_loss_after_is_evaluated_only_when_asked_for(name):
    calls = []

    def loss(prompt, batch):
        calls.append(torch.is_grad_enabled())
        return prompt.square().sum()

    found = ALGORITHMS[name](0.1, 2)(loss, torch.ones(2, 3), [None], None)
    count = len(calls)
    found.support_loss_after()
    assert len(calls) == count + 1 and not calls[-1]


@each
def test_adapt_is_the_inner_loop_alone(episode, name):
    model, algorithm = episode("bart", training=True), ALGORITHMS[name](0.03, 3)
    expected = model.run(algorithm).adapted
    torch.manual_seed(3)
    with torch.no_grad():
        found = algorithm.adapt(model.loss, SoftPrompt(model.prompt).weight, model.support)
    assert not found.requires_grad
    assert relative_error(found - model.prompt, expected - model.prompt) < 1e-4


@each
def test_adapt_takes_other_steps_and_learned_rates(name):
    support = quadratics(2)
    algorithm = ALGORITHMS[name](0.1, 3)
    torch.testing.assert_close(
        algorithm.adapt(curved, start(), support, steps=5), descend(curved, start(), support, 0.1, 5)
    )
    rate = torch.tensor([[0.05], [0.02]], dtype=torch.float64)
    torch.testing.assert_close(
        algorithm.adapt(curved, start(), support, rate=rate), descend(curved, start(), support, rate, 3)
    )


def side_by_side(prompts, batches: list[Quadratic]):
    """One objective for each prompt, ``[M]``."""
    if prompts.dim() == 2:
        return curved(prompts, batches[0])
    return torch.stack([curved(prompt, batch) for prompt, batch in zip(prompts, batches, strict=True)])


@each
def test_episodes_side_by_side_are_the_episodes_one_by_one(name):
    first, second, query = (quadratics(3, seed) for seed in range(3))
    prompts = torch.stack([scale * start(seed) for seed, scale in ((1, 1.0), (2, 0.1), (3, 30.0))])
    rate = torch.tensor([[0.05], [0.02]], dtype=torch.float64) if name in LEARN_RATES else None
    algorithm = ALGORITHMS[name](0.05, 3)
    together = algorithm(side_by_side, prompts, [first, second], query, rate=rate)
    alone = [
        algorithm(side_by_side, prompts[m], [[first[m]], [second[m]]], [query[m]], rate=rate)
        for m in range(len(prompts))
    ]
    for part in ("gradient", "adapted", "support_loss", "query_loss"):
        expected = torch.stack([getattr(one, part) for one in alone])
        torch.testing.assert_close(getattr(together, part), expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(together.support_loss_after(), torch.stack([one.support_loss_after() for one in alone]))
    if rate is not None:  # one for all of them
        assert together.rate_gradient.shape == rate.shape
        torch.testing.assert_close(
            together.rate_gradient, sum(one.rate_gradient for one in alone), rtol=1e-8, atol=1e-8
        )


KINDS = [MAML, FoMAML, Reptile]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lr", [0.0, -0.1, float("nan")])
def test_an_inner_rate_must_be_above_zero(kind, lr):
    with pytest.raises(UserError, match=rf"model\.algorithm\.inner_lr must be above 0, not {lr}"):
        kind(inner_lr=lr)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [0, -1])
def test_there_must_be_a_step(kind, steps):
    with pytest.raises(UserError, match=rf"model\.algorithm\.inner_steps must be at least 1, not {steps}"):
        kind(inner_steps=steps)


def test_an_algorithm_says_what_it_is():
    assert repr(MAML(0.1, 5)) == "MAML(inner_lr=0.1, inner_steps=5, hessian='finite_difference')"
    assert repr(Reptile(0.1)) == "Reptile(inner_lr=0.1, inner_steps=10)"
