"""MAML on objectives whose meta-gradient is known, with fixed and with learned inner rates."""

from __future__ import annotations

import pytest
import torch
from support.closed_forms import ROWS, WIDTH, curved, loss, quadratics, start
from support.meta_episode import meta_objective

import mpt.learn.meta.maml as maml
from mpt.learn.meta import MAML, FoMAML
from mpt.util.errors import UserError

HESSIANS = ["finite_difference", "exact", "graph"]
TOLERANCE = {"rtol": 1e-9, "atol": 1e-10}
"""A finite difference is exact on a quadratic, but for rounding."""

each = pytest.mark.parametrize("hessian", HESSIANS)


@each
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_quadratic(hessian, steps):
    support, query = quadratics(2)
    prompt, lr = start(), 0.1
    found = MAML(lr, steps, hessian)(loss, prompt, [support], query)
    contraction = torch.linalg.matrix_power(support.contraction(lr), steps)
    adapted = support.c + contraction @ (prompt.flatten() - support.c)
    expected = contraction @ query.gradient(adapted)
    torch.testing.assert_close(found.gradient, expected.view(ROWS, WIDTH), **TOLERANCE)
    torch.testing.assert_close(found.adapted, adapted.view(ROWS, WIDTH), **TOLERANCE)
    torch.testing.assert_close(found.support_loss, loss(prompt, support))
    torch.testing.assert_close(found.query_loss, loss(adapted, query))
    assert found.rate_gradient is None


@each
def test_support_batches_are_taken_in_turn_and_their_hessians_in_reverse(hessian):
    *support, query = quadratics(4)
    prompt, lr, steps = start(), 0.1, 5
    found = MAML(lr, steps, hessian)(loss, prompt, support, query)
    adapted, product = prompt.flatten(), torch.eye(prompt.numel(), dtype=torch.float64)
    for k in (0, 1, 2, 0, 1):
        adapted = support[k].step(adapted, lr)
        product = product @ support[k].contraction(lr)
    expected = product @ query.gradient(adapted)
    torch.testing.assert_close(found.gradient.flatten(), expected, **TOLERANCE)
    torch.testing.assert_close(found.adapted.flatten(), adapted, **TOLERANCE)
    wrong_order = product.T @ query.gradient(adapted)
    assert (wrong_order - expected).norm() > 0.1 * expected.norm(), "the order must matter here"


@each
def test_a_prompt_of_zeros_which_gives_a_difference_no_scale(hessian):
    support, query = quadratics(2)
    prompt = torch.zeros(ROWS, WIDTH, dtype=torch.float64)
    found = MAML(0.1, 2, hessian)(loss, prompt, [support], query)
    adapted = support.step(support.step(prompt.flatten(), 0.1), 0.1)
    expected = torch.linalg.matrix_power(support.contraction(0.1), 2) @ query.gradient(adapted)
    torch.testing.assert_close(found.gradient.flatten(), expected, **TOLERANCE)


RATES = {"scalar": torch.tensor(0.1), "one row for all": torch.tensor([[0.1]]), "token": torch.tensor([[0.05], [0.15]])}
"""Learned rates are a scalar, ``[1, 1]`` or ``[P, 1]``; none is the algorithm's own."""

each_rate = pytest.mark.parametrize("shape", list(RATES))


@each
@each_rate
def test_learned_rates_on_a_quadratic(hessian, shape):
    support, query = quadratics(2)
    prompt, rate = start(), RATES[shape].double()
    entries = rate.expand(ROWS, WIDTH).flatten()
    found = MAML(0.7, 3, hessian)(loss, prompt, [support], query, rate=rate)

    contraction, points = support.contraction(entries), [prompt.flatten()]
    for _ in range(3):
        points.append(support.step(points[-1], entries))
    vector, of_entries = query.gradient(points[-1]), torch.zeros_like(entries)
    for point in reversed(points[:-1]):
        of_entries -= vector * support.gradient(point)
        vector = contraction.T @ vector
    torch.testing.assert_close(found.gradient.flatten(), vector, **TOLERANCE)
    expected = of_entries.view(ROWS, WIDTH).sum_to_size(rate.shape)
    torch.testing.assert_close(found.rate_gradient, expected, **TOLERANCE)


@each
@each_rate
def test_learned_rates_by_differences_of_the_whole_meta_objective(hessian, shape):
    *support, query = quadratics(3)
    prompt, rate, steps = start(), RATES[shape].double(), 4
    found = MAML(0.7, steps, hessian)(curved, prompt, support, query, rate=rate)
    assert found.rate_gradient.shape == rate.shape
    closeness = 1e-7
    if hessian == "finite_difference":
        closeness = 1e-2  # its truncation; the Hessian of sines along steep directions changes within its step
    for row in range(rate.numel()):
        nudge = torch.zeros_like(rate).view(-1)
        nudge[row] = 1e-6
        nudge = nudge.view(rate.shape)
        ahead = meta_objective(curved, prompt, support, query, rate + nudge, steps)
        behind = meta_objective(curved, prompt, support, query, rate - nudge, steps)
        expected = float(ahead - behind) / 2e-6
        assert float(found.rate_gradient.view(-1)[row]) == pytest.approx(expected, rel=closeness)
    for row, column in ((0, 0), (1, 2)):
        nudge = torch.zeros_like(prompt)
        nudge[row, column] = 1e-6
        ahead = meta_objective(curved, prompt + nudge, support, query, rate, steps)
        behind = meta_objective(curved, prompt - nudge, support, query, rate, steps)
        expected = float(ahead - behind) / 2e-6
        assert float(found.gradient[row, column]) == pytest.approx(expected, rel=closeness)


@each
def test_learned_rates_of_the_fixed_value_change_nothing(hessian):
    *support, query = quadratics(3)
    fixed = MAML(0.1, 3, hessian)(curved, start(), support, query)
    learned = MAML(0.7, 3, hessian)(curved, start(), support, query, rate=torch.tensor(0.1, dtype=torch.float64))
    torch.testing.assert_close(learned.gradient, fixed.gradient, **TOLERANCE)
    torch.testing.assert_close(learned.adapted, fixed.adapted, **TOLERANCE)


@pytest.mark.parametrize(
    ("hessian", "product"), [("finite_difference", "finite_difference"), ("exact", "double_backward")]
)
@pytest.mark.parametrize("steps", [1, 4])
def test_without_its_hessian_it_is_fomaml_bit_for_bit(monkeypatch, episode, hessian, product, steps):
    model = episode("t5", training=True)
    monkeypatch.setattr(maml, product, lambda loss, step, vector: torch.zeros_like(vector))
    found, first_order = (model.run(kind) for kind in (MAML(0.3, steps, hessian), FoMAML(0.3, steps)))
    for part in ("gradient", "adapted", "support_loss", "query_loss"):
        assert torch.equal(getattr(found, part), getattr(first_order, part)), part


@each
def test_with_its_hessian_it_is_not_fomaml(episode, hessian):
    model = episode("t5", training=True)
    found, first_order = (model.run(kind).gradient for kind in (MAML(0.3, 1, hessian), FoMAML(0.3, 1)))
    assert (found - first_order).norm() > 0.05 * found.norm()


def test_which_of_them_differentiate_twice():
    assert [MAML(0.1, 1, hessian).needs_double_backward for hessian in HESSIANS] == [False, True, True]


def test_an_unknown_hessian_is_refused():
    with pytest.raises(UserError, match=r"model\.algorithm\.hessian is finite_difference, exact or graph, not 'full'"):
        MAML(hessian="full")
