"""Hessian-vector products: by difference and by double backward, under dropout, in few bits, in little memory."""

from __future__ import annotations

import weakref

import pytest
import torch
from support.meta_episode import ALGORITHMS, Episode, relative_error

import mpt.learn.meta.hessian as hessian
from mpt.adapt.tuning import plain_start
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import load_fewshot
from mpt.learn.meta import MAML, FoMAML
from mpt.learn.meta.hessian import double_backward, finite_difference
from mpt.learn.meta.inner_loop import InnerStep, gradient_of
from mpt.util.random_state import RandomState

TASKS = ["syn-find-colour", "syn-judge-agreement", "syn-gender-story"]
LR = 0.1
PROMPT_LENGTH = 20


def second_order_error(found, exact, first_order) -> float:
    """Error of the second-order term alone, in its own norm."""
    return float((found - exact).norm() / (exact - first_order).norm())


@pytest.fixture(scope="module")
def tiny():
    """mpt-tiny in training mode, with the dropout that its configuration leaves out."""
    backbone = FrozenBackbone("mpt-tiny").train()
    for module in backbone.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
        if isinstance(getattr(module, "dropout", None), float):  # of attention weights
            module.dropout = 0.1

    def episode(task: str) -> Episode:
        data = load_fewshot("synthetic", task, 13)
        rows = torch.randint(10, len(backbone.embeddings), (PROMPT_LENGTH,), generator=torch.Generator().manual_seed(0))

        def encode(examples):
            return backbone.encode([one.input for one in examples], [one.targets[0] for one in examples])

        support = [encode(data.train[:4]), encode(data.train[4:8])]
        return Episode(backbone, backbone.embeddings[rows].clone(), support, encode(data.dev[:4]))

    return episode


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 5, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", TASKS)
def test_the_second_order_term_by_difference_on_mpt_tiny_with_dropout(tiny, task, steps):
    episode = tiny(task)
    found, exact, first_order = (
        episode.run(algorithm).gradient for algorithm in (MAML(LR, steps), MAML(LR, steps, "exact"), FoMAML(LR, steps))
    )
    assert relative_error(first_order, exact) > 0.05, "the second order must matter here"
    assert second_order_error(found, exact, first_order) < 0.02
    masks = [episode.run(FoMAML(LR, steps), seed).gradient for seed in (3, 4)]
    assert relative_error(*masks) > 0.05, "dropout must matter here"


def first_step(episode: Episode, seed: int = 3) -> tuple[InnerStep, torch.Tensor]:
    """First step of an inner loop, and a vector: the query gradient there."""
    torch.manual_seed(seed)
    state = RandomState(torch.device("cpu"))
    value, gradient = gradient_of(episode.loss, episode.prompt, episode.support[0])
    _, vector = gradient_of(episode.loss, episode.prompt, episode.query)
    return InnerStep(episode.prompt, episode.support[0], value, gradient, state), vector


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "t5_gated", "bart", "gpt2"])
def test_double_backward_is_the_hessian_under_the_steps_mask(episode, kind):
    model = episode(kind, training=True)
    step, vector = first_step(model)

    def masked(prompt):
        torch.manual_seed(3)
        return model.loss(prompt, step.batch)

    with hessian.twice_differentiable():
        _, expected = torch.autograd.functional.hvp(masked, step.prompt, vector)
    torch.manual_seed(99)  # the step's own state counts, not what the generators are at
    assert relative_error(double_backward(model.loss, step, vector), expected) < 1e-5
    if kind != "t5":  # a difference steps over the kinks of ReLU
        assert relative_error(finite_difference(model.loss, step, vector), expected) < 0.02


@pytest.mark.parametrize("product", [double_backward, finite_difference])
def test_products_scale_with_the_vector(episode, product):
    model = episode("gpt2")
    step, vector = first_step(model)
    whole = product(model.loss, step, vector)
    assert torch.equal(product(model.loss, step, torch.zeros_like(vector)), torch.zeros_like(vector))
    for factor in (1e-12, 1e6):
        assert relative_error(product(model.loss, step, factor * vector), factor * whole) < 1e-4


@pytest.mark.parametrize("reduced", [False, True])
def test_a_difference_steps_a_small_part_of_a_row_whatever_the_prompts_scale(monkeypatch, reduced):
    points = []

    def loss(prompt, batch):
        points.append(prompt.detach())
        return prompt.square().sum()

    monkeypatch.setattr(hessian, "is_reduced", lambda device: reduced)
    lengths = []
    for scale in (1e-3, 1.0, 1e3):
        prompt = scale * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
        step = InnerStep(prompt, None, *gradient_of(loss, prompt, None), RandomState(prompt.device))
        points.clear()
        finite_difference(loss, step, torch.ones_like(prompt))
        assert len(points) == (2 if reduced else 1), "gradients that one product costs"
        lengths += [float((point - prompt).norm() / prompt.norm(dim=1).mean()) for point in points]
    assert lengths == pytest.approx([hessian.STEP] * len(lengths), rel=1e-2)


def exponential(slopes: torch.Tensor, prompts: list[torch.Tensor]):
    """``exp(s p)`` of one number p, or of several side by side, and where it was asked for."""

    def loss(prompt, batch):
        prompts.append(prompt.detach())
        return (slopes * prompt).exp().sum((-2, -1))

    return loss


def test_both_sides_are_taken_where_the_gradient_bends_and_each_episode_goes_by_its_own():
    slopes = torch.tensor([1.0, 50.0, 2.0], dtype=torch.float64).view(3, 1, 1)
    point, vector = torch.ones_like(slopes), torch.tensor([2.0, -0.3, 0.0], dtype=torch.float64).view(3, 1, 1)

    def product(rows) -> tuple[torch.Tensor, int]:
        asked = []
        loss = exponential(slopes[rows], asked)
        state = RandomState(point.device)
        step = InnerStep(point[rows], None, *gradient_of(loss, point[rows], None), state)
        return finite_difference(loss, step, vector[rows]), len(asked) - 1

    alone = [product(m) for m in range(3)]
    assert [gradients for _, gradients in alone] == [1, 2, 1]
    expected = slopes**2 * slopes.exp() * vector
    # To one side the error is half of slope x step: 2e-4 of the first; 1 % of the second, were it taken so.
    for (found, _), exact, error in zip(alone, expected, (2.1e-4, 1e-4, 0.0), strict=True):
        torch.testing.assert_close(found, exact, rtol=error, atol=0)

    together, gradients = product(slice(None))
    assert gradients == 2
    torch.testing.assert_close(together, torch.stack([found for found, _ in alone]), rtol=1e-12, atol=0)


OUTLIERS = [("syn-find-place", 1, 2.0), ("syn-find-place", 7, 0.5)]
"""Tasks, seeds of prompts of sampled vocabulary, and inner rates, where five inner steps bend one difference much."""


@pytest.mark.long
@pytest.mark.parametrize(("task", "seed", "lr"), OUTLIERS)
def test_the_second_order_term_where_one_side_alone_is_far_off(monkeypatch, task, seed, lr):
    backbone, data = FrozenBackbone("mpt-tiny").eval(), load_fewshot("synthetic", task, 13)
    support, query = (
        backbone.encode([one.input for one in rows], [one.targets[0] for one in rows])
        for rows in (data.train[:4], data.dev[:4])
    )
    episode = Episode(backbone, plain_start(backbone, PROMPT_LENGTH, seed), [support], query)
    exact, first_order, found = (
        episode.run(algorithm).gradient for algorithm in (MAML(lr, 5, "exact"), FoMAML(lr, 5), MAML(lr, 5))
    )
    assert second_order_error(found, exact, first_order) < 0.01
    monkeypatch.setattr(hessian, "CURVED", float("inf"))
    one_sided = episode.run(MAML(lr, 5)).gradient
    assert second_order_error(one_sided, exact, first_order) > 0.03, "one side alone must be far off here"


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_differences_under_bf16_autocast_are_taken_in_float32(tiny, monkeypatch, task):
    episode = tiny(task)
    step, vector = first_step(episode)
    expected = double_backward(episode.loss, step, vector)
    with torch.autocast("cpu", torch.bfloat16):
        coarse, _ = first_step(episode)
        found = finite_difference(episode.loss, coarse, vector)
        monkeypatch.setattr(hessian, "is_reduced", lambda device: False)
        naive = finite_difference(episode.loss, coarse, vector)
    assert found.dtype == torch.float32
    assert relative_error(found, expected) < 0.01
    assert relative_error(naive, expected) > 1, "what a difference of bf16 gradients would be"


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("task", TASKS)
def test_the_second_order_term_under_bf16_autocast(tiny, task, steps):
    """Close to float32's, 0.6 to 4.3 % here; what is left is the trajectory, which autocast takes in bf16."""
    episode, lr = tiny(task), 0.03
    episode.backbone.eval()
    try:
        expected = episode.run(MAML(lr, steps, "exact")).gradient - episode.run(FoMAML(lr, steps)).gradient
        with torch.autocast("cpu", torch.bfloat16):
            found = episode.run(MAML(lr, steps)).gradient - episode.run(FoMAML(lr, steps)).gradient
    finally:
        episode.backbone.train()
    assert found.dtype == torch.float32
    assert relative_error(found, expected) < 0.1


class SavedTensors:
    """Counts what autograd keeps: elements now and at most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> SavedTensors:
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda kept: kept.tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.hooks.__exit__(*error)

    def _pack(self, tensor: torch.Tensor) -> Kept:
        kept = Kept(tensor)
        self._change(tensor.numel())
        weakref.finalize(kept, self._change, -tensor.numel())
        return kept

    def _change(self, elements: int) -> None:
        self.now += elements
        self.most = max(self.most, self.now)


class Kept:
    """A tensor that a graph keeps."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def kept_by(model: Episode, name: str, steps: int) -> SavedTensors:
    with SavedTensors() as saved:
        result = model.run(ALGORITHMS[name](0.03, steps))
        assert saved.now == 0, "a result keeps no graph"
    del result
    return saved


@pytest.mark.long
@pytest.mark.parametrize("name", ["finite_difference", "exact", "fomaml", "reptile"])
def test_graphs_do_not_grow_with_the_inner_steps(episode, name):
    model = episode("t5", training=True)
    least, most = (kept_by(model, name, steps).most for steps in (2, 8))  # with two, each support batch had its turn
    assert 0 < most == least


@pytest.mark.long
def test_a_difference_keeps_what_first_order_keeps_and_one_graph_keeps_all_steps(episode):
    model = episode("t5", training=True)
    assert kept_by(model, "finite_difference", 8).most == kept_by(model, "fomaml", 8).most
    assert kept_by(model, "graph", 8).most > 3 * kept_by(model, "graph", 2).most
    assert kept_by(model, "graph", 8).most > 3 * kept_by(model, "exact", 8).most
