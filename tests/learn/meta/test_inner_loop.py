"""The inner loop: what it keeps of each step."""

from __future__ import annotations

import pytest
import torch
from support.closed_forms import curved, loss, quadratics, start
from support.meta_episode import relative_error
from torch.nn import functional as F

from mpt.learn.meta.inner_loop import descend, gradient_of, loss_after


def test_the_trajectory_and_its_end():
    support = quadratics(2)
    prompt = start()
    trajectory, adapted = descend(loss, prompt, support, 0.1, 5)
    point = prompt.flatten()
    for k, step in enumerate(trajectory):
        torch.testing.assert_close(step.prompt.flatten(), point)
        assert step.batch is support[k % 2]
        torch.testing.assert_close(step.loss, loss(point, step.batch))
        torch.testing.assert_close(step.gradient.flatten(), step.batch.gradient(point))
        point = step.batch.step(point, 0.1)
    assert len(trajectory) == 5
    torch.testing.assert_close(adapted.flatten(), point)
    assert not any(part.requires_grad for step in trajectory for part in (step.prompt, step.loss, step.gradient))


def test_a_rate_for_each_row():
    (support,) = quadratics(1)
    prompt, rate = start(), torch.tensor([[0.1], [0.0]], dtype=torch.float64)
    _, adapted = descend(curved, prompt, [support], rate, 3)
    assert torch.equal(adapted[1], prompt[1])
    assert not torch.equal(adapted[0], prompt[0])


def test_as_sgd_goes(episode):
    model = episode("bart", training=True)
    torch.manual_seed(3)
    weight = torch.nn.Parameter(model.prompt.clone())
    optimizer = torch.optim.SGD([weight], lr=0.03)
    for k in range(4):
        optimizer.zero_grad()
        model.loss(weight, model.support[k % 2]).backward()
        optimizer.step()
    torch.manual_seed(3)
    trajectory, adapted = descend(model.loss, model.prompt, model.support, 0.03, 4)
    assert relative_error(adapted - model.prompt, weight.detach() - model.prompt) < 1e-4
    assert not torch.equal(trajectory[0].gradient, trajectory[2].gradient)


def test_the_gradient_under_no_grad_carries_no_graph():
    (batch,) = quadratics(1)
    with torch.no_grad():
        value, gradient = gradient_of(loss, start(), batch)
    torch.testing.assert_close(gradient.flatten(), batch.gradient(start().flatten()))
    assert not value.requires_grad and not gradient.requires_grad


def test_the_loss_after_is_under_the_first_steps_mask():
    def masked(prompt, batch):
        return (F.dropout(torch.ones_like(prompt), 0.5) * prompt).square().sum() * batch

    torch.manual_seed(0)
    prompt = torch.rand(4, 16) + 1
    trajectory, adapted = descend(masked, prompt, [0.1, 0.2], 0.1, 3)
    before = torch.get_rng_state()
    assert torch.equal(loss_after(masked, prompt, trajectory[0].batch, trajectory[0].state), trajectory[0].loss)
    after = loss_after(masked, adapted, trajectory[0].batch, trajectory[0].state)
    assert torch.equal(torch.get_rng_state(), before)
    assert not after.requires_grad
    kept = trajectory[0].gradient != 0  # where the first mask let the prompt through
    expected = 0.1 * (2 * adapted[kept]).square().sum()
    assert float(after) == pytest.approx(float(expected), rel=1e-6)
