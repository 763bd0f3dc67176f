"""FoMAML against its closed form, and its learned rates against their first-order definition."""

from __future__ import annotations

import pytest
import torch
from support.closed_forms import ROWS, WIDTH, curved, loss, quadratics, start

from mpt.learn.meta import FoMAML

RATES = {"scalar": torch.tensor(0.1), "one row for all": torch.tensor([[0.1]]), "token": torch.tensor([[0.05], [0.15]])}


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_quadratic(steps):
    *support, query = quadratics(3)
    prompt, lr = start(), 0.1
    found = FoMAML(lr, steps)(loss, prompt, support, query)
    adapted = prompt.flatten()
    for k in range(steps):
        adapted = support[k % 2].step(adapted, lr)
    torch.testing.assert_close(found.gradient, query.gradient(adapted).view(ROWS, WIDTH))
    torch.testing.assert_close(found.adapted, adapted.view(ROWS, WIDTH))
    torch.testing.assert_close(found.support_loss, loss(prompt, support[0]))
    torch.testing.assert_close(found.query_loss, loss(adapted, query))
    assert found.rate_gradient is None


@pytest.mark.parametrize("shape", list(RATES))
def test_learned_rates_to_first_order(shape):
    """The inner gradients count as constants: the query loss along their sum, by difference."""
    *support, query = quadratics(3)
    prompt, rate, steps = start(), RATES[shape].double(), 4
    found = FoMAML(0.7, steps)(curved, prompt, support, query, rate=rate)

    point, travelled = prompt, torch.zeros_like(prompt)
    for k in range(steps):
        leaf = point.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(curved(leaf, support[k % 2]), leaf)
        travelled += gradient
        point = point - rate * gradient
    torch.testing.assert_close(found.adapted, point)
    assert found.rate_gradient.shape == rate.shape
    for row in range(rate.numel()):
        nudge = torch.zeros_like(rate).view(-1)
        nudge[row] = 1e-6
        nudge = nudge.view(rate.shape)
        ahead, behind = (curved(point - sign * nudge * travelled, query) for sign in (1, -1))
        expected = float(ahead - behind) / 2e-6
        assert float(found.rate_gradient.view(-1)[row]) == pytest.approx(expected, rel=1e-6)
