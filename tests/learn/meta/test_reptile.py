"""Reptile against its closed form."""

from __future__ import annotations

import pytest
import torch
from support.closed_forms import ROWS, WIDTH, loss, quadratics, start

from mpt.learn.meta import Reptile
from mpt.util.errors import UserError


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_quadratic(steps):
    support, query = quadratics(2)
    prompt, lr = start(), 0.1
    found = Reptile(lr, steps)(loss, prompt, [support], query)
    contraction = torch.linalg.matrix_power(support.contraction(lr), steps)
    expected = (torch.eye(len(contraction)) - contraction) @ (prompt.flatten() - support.c)
    torch.testing.assert_close(found.gradient, expected.view(ROWS, WIDTH))
    torch.testing.assert_close(found.adapted, prompt - found.gradient)
    torch.testing.assert_close(found.support_loss, loss(prompt, support))
    torch.testing.assert_close(found.query_loss, loss(found.adapted, query))


def test_support_batches_are_taken_in_turn():
    *support, query = quadratics(3)
    prompt, lr = start(), 0.1
    found = Reptile(lr, 3)(loss, prompt, support, query)
    adapted = prompt.flatten()
    for k in (0, 1, 0):
        adapted = support[k].step(adapted, lr)
    torch.testing.assert_close(found.gradient.flatten(), prompt.flatten() - adapted)


def test_the_query_batch_leaves_no_trace_in_the_pseudo_gradient():
    support, *queries = quadratics(3)
    one, other = (Reptile(0.1, 3)(loss, start(), [support], query) for query in queries)
    assert torch.equal(one.gradient, other.gradient)
    assert not torch.equal(one.query_loss, other.query_loss)


def test_an_outer_sgd_step_of_one_ends_at_the_adapted_prompt():
    support, query = quadratics(2)
    weight = torch.nn.Parameter(start())
    found = Reptile(0.1, 3)(loss, weight, [support], query)
    weight.grad = found.gradient
    torch.optim.SGD([weight], lr=1.0).step()
    torch.testing.assert_close(weight.detach(), found.adapted)


def test_learned_rates_are_refused():
    support, query = quadratics(2)
    with pytest.raises(UserError, match=r"model\.learn_inner_lr: Reptile.*MAML and FoMAML learn them"):
        Reptile()(loss, start(), [support], query, rate=torch.tensor(0.1))
    assert not Reptile.learns_rates
