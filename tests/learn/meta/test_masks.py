"""Dropout masks drawn again: products see the inner step's own mask, and nobody else notices."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from support.meta_episode import ALGORITHMS, relative_error
from torch.nn import functional as F

from mpt.learn.meta import MAML, FoMAML
from mpt.util.random_state import RandomState

CPU = torch.device("cpu")


def test_what_is_replayed_is_what_was_drawn():
    state = RandomState(CPU)
    drawn = [torch.rand(5), F.dropout(torch.ones(50), 0.5), torch.randn(3)]
    torch.rand(7)
    for _ in range(2):
        with state.replayed():
            again = [torch.rand(5), F.dropout(torch.ones(50), 0.5), torch.randn(3)]
        assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))


def test_afterwards_the_generator_goes_on_as_if_nothing_had_happened():
    torch.manual_seed(1)
    state = RandomState(CPU)
    torch.rand(4)
    expected = torch.get_rng_state()
    with state.replayed():
        torch.rand(100)
    assert torch.equal(torch.get_rng_state(), expected)
    with pytest.raises(RuntimeError, match="inside"), state.replayed():
        raise RuntimeError("inside")
    assert torch.equal(torch.get_rng_state(), expected)


def test_one_replay_inside_another():
    torch.manual_seed(1)
    first = RandomState(CPU)
    a = torch.rand(3)
    second = RandomState(CPU)
    b = torch.rand(3)
    with second.replayed():
        with first.replayed():
            assert torch.equal(torch.rand(3), a)
        assert torch.equal(torch.rand(3), b)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2"])
def test_exact_and_one_graph_see_the_same_masks(episode, kind, steps):
    model, lr = episode(kind, training=True), {"t5": 0.3}.get(kind, 0.03)
    found = {name: model.run(ALGORITHMS[name](lr, steps)).gradient for name in ("exact", "graph", "fomaml")}
    assert relative_error(found["exact"], found["graph"]) < 1e-5
    assert relative_error(found["fomaml"], found["graph"]) > 0.02, "the second order must matter here"
    other = model.run(MAML(lr, steps, "graph"), seed=4).gradient
    assert relative_error(other, found["graph"]) > 0.05, "dropout must matter here"


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_draws_one_mask_a_step_and_one_for_the_query(episode, name):
    """Whoever draws afterwards draws the same, whichever algorithm came before."""
    model, steps = episode("t5", training=True), 3
    model.run(ALGORITHMS[name](0.03, steps))
    found = torch.rand(4)
    torch.manual_seed(3)
    with torch.no_grad():
        for k in range(steps):
            model.loss(model.prompt, model.support[k % 2])
        model.loss(model.prompt, model.query)
    assert torch.equal(found, torch.rand(4))


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 3])
def test_with_new_masks_the_second_order_term_would_be_noise(monkeypatch, episode, steps):
    model = episode("t5_gated", training=True)

    def second_order_error():
        found, exact, first_order = (
            model.run(ALGORITHMS[name](0.03, steps)).gradient for name in ("finite_difference", "exact", "fomaml")
        )
        return relative_error(found - first_order, exact - first_order)

    assert second_order_error() < 0.02
    exactly = model.run(MAML(0.03, steps, "exact")).gradient
    monkeypatch.setattr(RandomState, "replayed", lambda state: nullcontext())
    assert relative_error(model.run(MAML(0.03, steps, "exact")).gradient, exactly) > 0.02
    difference, first_order = (model.run(kind).gradient for kind in (MAML(0.03, steps), FoMAML(0.03, steps)))
    assert relative_error(difference, exactly) > 10 * relative_error(first_order, exactly)
