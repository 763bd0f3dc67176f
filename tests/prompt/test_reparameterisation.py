"""What is learned in a prompt's place: the prompt that it makes, against torch's own layers and sums by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mpt.learn.optimizers import PromptAdafactor
from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.prompt.mixture import Mixture
from mpt.prompt.residual import Residual
from mpt.prompt.superposition import Superposition
from mpt.util.errors import UserError

LENGTH, WIDTH = 3, 8
KINDS = [Residual(5), Residual(5, norm=False), Superposition(3), Superposition(7)]


def vocabulary(seed: int = 1) -> InitContext:
    table = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(9))
    return InitContext(table, list, frozenset({0}), (), "model", "f00", torch.Generator().manual_seed(seed))


@pytest.fixture
def start() -> torch.Tensor:
    return torch.randn(LENGTH, WIDTH, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{type(kind).__name__}-{vars(kind)}"[:40])
def test_it_begins_where_the_prompt_does_and_every_part_is_learned(kind, start):
    learned = kind.start(start, vocabulary())
    assert torch.equal(kind(learned), start)
    assert torch.equal(kind.start(start, vocabulary()), learned), "a seed gives one start"
    moved = learned + torch.randn(learned.shape, generator=torch.Generator().manual_seed(4))
    goal, learned = kind(moved), learned.requires_grad_()

    def distance() -> torch.Tensor:
        return (kind(learned) - goal).square().sum()

    before = distance().item()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(distance(), learned)
        learned = (learned - 0.01 * gradient).detach().requires_grad_()
    assert distance().item() < 0.5 * before
    assert not (learned.detach() == kind.start(start, vocabulary())).all(1).any(), "a row was left as it was"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{type(kind).__name__}-{vars(kind)}"[:40])
def test_several_side_by_side_are_each_alone(kind, start):
    learned = kind.start(start, vocabulary())
    several = torch.randn(4, *learned.shape, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(kind(several), torch.stack([kind(one) for one in several]))


@pytest.mark.parametrize("norm", [True, False])
def test_residual_is_torchs_layers_and_their_gradient(norm, start):
    kind = Residual(5, norm)
    learned = torch.randn(kind.start(start, vocabulary()).shape, generator=torch.Generator().manual_seed(6)).double()
    learned.requires_grad_()
    down, up, layer = (part.double() for part in (nn.Linear(WIDTH, 5, bias=False), nn.Linear(5, WIDTH, bias=False),
                                                  nn.LayerNorm(WIDTH)))  # fmt: skip
    with torch.no_grad():
        down.weight.copy_(learned[LENGTH : LENGTH + 5])
        up.weight.copy_(learned[LENGTH + 5 : LENGTH + 10].T)
        if norm:
            layer.weight.copy_(learned[-2])
            layer.bias.copy_(learned[-1])
    prompt = learned[:LENGTH].detach().clone().requires_grad_()
    said = up(torch.relu(down(prompt)))
    wanted = prompt + (layer(said) if norm else said)
    torch.testing.assert_close(kind(learned), wanted)
    kind(learned).square().sum().backward()
    wanted.square().sum().backward()
    parts = [
        prompt.grad,
        down.weight.grad,
        up.weight.grad.T,
        *([layer.weight.grad[None], layer.bias.grad[None]] if norm else []),
    ]
    torch.testing.assert_close(learned.grad, torch.cat(parts))


def test_superposition_mixes_the_start_and_drawn_embeddings(start):
    kind, known = Superposition(7), vocabulary()
    weights = torch.randn(kind.start(start, known).shape, generator=torch.Generator().manual_seed(7))
    rows = torch.stack([kind(torch.eye(7)[[i]])[0] for i in range(7)])
    assert torch.equal(rows[:LENGTH], start)
    drawn = {int((known.embeddings == row).all(1).nonzero()) for row in rows[LENGTH:]}
    assert len(drawn) == 4 and 0 not in drawn, "different tokens, none of them special"
    by_hand = sum(weights[:, [i]] * rows[i] for i in range(7))
    torch.testing.assert_close(kind(weights), by_hand)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Residual(0), "bottleneck must be at least 1, not 0"),
        (lambda: Superposition(0), "mixed must be at least 1, not 0"),
        (
            lambda: Superposition(2).start(torch.zeros(LENGTH, WIDTH), vocabulary()),
            "2, and must be at least the prompt's 3",
        ),
    ],
)
def test_mistakes_are_told(make, told):
    with pytest.raises(UserError, match=told):
        make()


def test_a_mixture_of_prompts_that_stay_and_a_new_one():
    prompts = torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(8))
    kind = Mixture()
    learned = kind.start(prompts, vocabulary())
    assert learned.shape == (LENGTH + 3, WIDTH)
    new = SampledVocabulary()(LENGTH, vocabulary())
    torch.testing.assert_close(kind(learned), (new + prompts[0] + prompts[1]) / 3)
    learned[-3:] = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(9))
    shares = [math.exp(sum(row) / WIDTH) for row in learned[-3:].tolist()]
    by_hand = (shares[0] * new + shares[1] * prompts[0] + shares[2] * prompts[1]) / sum(shares)
    torch.testing.assert_close(kind(learned), by_hand)
    assert kind.facts(learned)["mixture_weights"] == pytest.approx([share / sum(shares) for share in shares])
    torch.testing.assert_close(
        kind(torch.stack([learned, learned + 1])), torch.stack([kind(learned), kind(learned + 1)])
    )
    with pytest.raises(UserError, match="Retrieved with use each"):
        kind.start(prompts[0], vocabulary())


@pytest.mark.parametrize("optimizer", [PromptAdafactor, torch.optim.Adam])
def test_the_new_prompt_of_a_mixture_is_learned_in_all_columns_alike_and_its_numbers_at_the_same_rate(optimizer):
    rate, width = 0.01, 32
    prompts = 5 * torch.randn(3, LENGTH, width, generator=torch.Generator().manual_seed(1))
    table = torch.randn(40, width, generator=torch.Generator().manual_seed(9))
    known = InitContext(table, list, frozenset({0}), (), "model", "f00", torch.Generator().manual_seed(1))
    kind = Mixture()
    begin = kind.start(prompts, known)
    learned = begin.clone().requires_grad_()
    goal = prompts[1] + 0.1  # nearer to one prompt than to others, so that the numbers' gradients are large
    steps = optimizer([learned], lr=rate)
    for _ in range(5):
        steps.zero_grad()
        (kind(learned) - goal).square().sum().backward()
        steps.step()
    moved = (learned.detach() - begin).abs()
    columns = moved[:LENGTH].mean(0)
    assert float(columns[:4].mean()) > 0.5 * float(columns[4:].mean())
    numbers = moved[LENGTH:].mean(1)
    assert float(numbers.min()) > 0.5 * rate and float(numbers.max()) < 1.5 * 5 * rate
