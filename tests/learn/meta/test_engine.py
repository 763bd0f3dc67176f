"""MAML and FoMAML by higher and by learn2learn, against loops written out here and a closed form."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from itertools import product
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from mpt.backbone.model import token_mean
from mpt.learn.meta.with_higher import HigherFoMAML, HigherMAML
from mpt.learn.meta.with_learn2learn import Learn2LearnFoMAML, Learn2LearnMAML, maml
from mpt.util.errors import UserError

SECOND_ORDER = ["HigherMAML", "Learn2LearnMAML"]
FIRST_ORDER = ["HigherFoMAML", "Learn2LearnFoMAML"]
ALL = SECOND_ORDER + FIRST_ORDER


@pytest.fixture
def engine(request) -> Callable:
    """Class by name; learn2learn is built only for those that need it."""
    kinds = {kind.__name__: kind for kind in (HigherMAML, HigherFoMAML, Learn2LearnMAML, Learn2LearnFoMAML)}
    if request.param.startswith("Learn2Learn"):
        request.getfixturevalue("learn2learn")
    return kinds[request.param]


def each(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("engine", names, indirect=True)


def by_hand(loss, prompt, support, query, lr, steps, second_order):
    start = point = prompt.clone().requires_grad_()
    for k in range(steps):
        (gradient,) = torch.autograd.grad(loss(point, support[k % len(support)]), point, create_graph=second_order)
        point = point - lr * gradient
    return torch.autograd.grad(loss(point, query), start)[0], point.detach()


def relative_error(found, expected) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(scope="module")
def episode(load_backbone):
    """Objective, prompt, support batches and query batch on a small model of each kind."""

    def make(kind: str):
        backbone = load_backbone(kind)
        texts = [(["red apples fall", "a dog"], ["yes", "no no"]), (["one more", "x"], ["no", "yes"])]
        support = [backbone.encode(*pair) for pair in texts]
        query = backbone.encode(["green pears rise", "cats"], ["yes yes", "no"])
        prompt = torch.randn(5, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
        return lambda prompt, batch: token_mean(backbone.loss(prompt, batch), batch), prompt, support, query

    return make


RATES = {"t5": 0.3, "bart": 0.3, "gpt2": 0.3}


@pytest.mark.long
@each(SECOND_ORDER)
@pytest.mark.parametrize(("kind", "steps"), [*product(RATES, (1, 3))])
def test_second_order_through_default_attention(engine, episode, kind, steps):
    loss, prompt, support, query = episode(kind)
    with sdpa_kernel(SDPBackend.MATH):
        expected, adapted = by_hand(loss, prompt, support, query, RATES[kind], steps, second_order=True)
        first_order, _ = by_hand(loss, prompt, support, query, RATES[kind], steps, second_order=False)
    before = prompt.clone()
    found = engine(RATES[kind], steps)(loss, prompt, support, query)
    assert relative_error(found.gradient, expected) < 1e-5
    assert relative_error(first_order, expected) > 1e-2, "the second order must matter here"
    torch.testing.assert_close(found.adapted, adapted)
    assert torch.equal(prompt, before)


@pytest.mark.long
@each(FIRST_ORDER)
@pytest.mark.parametrize(("kind", "steps"), [*product(RATES, (1, 3))])
def test_first_order(engine, episode, kind, steps):
    loss, prompt, support, query = episode(kind)
    expected, adapted = by_hand(loss, prompt, support, query, RATES[kind], steps, second_order=False)
    found = engine(RATES[kind], steps)(loss, prompt, support, query)
    assert relative_error(found.gradient, expected) < 1e-6
    torch.testing.assert_close(found.adapted, adapted)
    torch.testing.assert_close(found.support_loss, loss(prompt, support[0]))
    torch.testing.assert_close(found.query_loss, loss(adapted, query))


@each(ALL)
@pytest.mark.parametrize("steps", [1, 5])
def test_quadratic(engine, steps):
    """Support 0.5 (p - c)' A (p - c), query 0.5 (p - d)' B (p - d): (I - lr A)^K B (p_K - d), by float64 here."""
    generator = torch.Generator().manual_seed(0)
    size, lr = 6, 0.05
    a, b = (x @ x.T for x in torch.randn(2, size, size, generator=generator, dtype=torch.float64))
    c, d, p = torch.randn(3, size, generator=generator, dtype=torch.float64)

    def loss(prompt, batch):
        matrix, centre = batch
        offset = prompt.flatten() - centre.float()
        return 0.5 * offset @ matrix.float() @ offset

    contraction = torch.linalg.matrix_power(torch.eye(size, dtype=torch.float64) - lr * a, steps)
    adapted = c + contraction @ (p - c)
    expected = b @ (adapted - d)
    if "Fo" not in engine.__name__:
        expected = contraction @ expected
    found = engine(lr, steps)(loss, p.float().view(2, 3), [(a, c)], (b, d))
    assert found.gradient.dtype == torch.float32 and found.gradient.shape == (2, 3)
    assert relative_error(found.gradient.flatten().double(), expected) < 1e-5
    assert relative_error(found.adapted.flatten().double(), adapted) < 1e-5
    after = 0.5 * (adapted - c) @ a @ (adapted - c)
    assert float(found.support_loss_after()) == pytest.approx(float(after), rel=1e-4)


@each(ALL)
def test_dropout_masks_are_drawn_as_in_a_plain_loop_and_the_first_one_again(engine):
    def loss(prompt, batch):
        return F.dropout(prompt, 0.5).square().sum() * batch

    torch.manual_seed(5)
    prompt = torch.randn(3, 4)
    torch.manual_seed(7)
    expected, adapted = by_hand(loss, prompt, [0.1, 0.2], 0.3, 0.1, 3, second_order="Fo" not in engine.__name__)
    torch.manual_seed(7)
    found = engine(0.1, 3)(loss, prompt, [0.1, 0.2], 0.3)
    state = torch.get_rng_state()
    after = found.support_loss_after()
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(found.gradient, expected)
    torch.manual_seed(7)
    torch.testing.assert_close(after, loss(adapted, 0.1))


@each(ALL)
def test_only_the_second_order_gives_up_fused_attention(engine):
    fused = []

    def loss(prompt, batch):
        fused.append(torch.backends.cuda.flash_sdp_enabled())
        return prompt.square().sum()

    assert torch.backends.cuda.flash_sdp_enabled()
    with torch.no_grad():  # as in a validation loop
        engine(0.1, 2)(loss, torch.ones(2, 3), [None], None)
    assert fused == ["Fo" in engine.__name__] * 3
    assert torch.backends.cuda.flash_sdp_enabled()


@each(ALL)
def test_nothing_but_the_prompt_gets_a_gradient_and_none_is_left_behind(engine):
    weight = torch.ones(3, requires_grad=True)
    prompt = torch.ones(2, 3, requires_grad=True)
    found = engine(0.1, 2)(lambda p, batch: (p * weight).square().sum(), prompt, [None], None)
    assert weight.grad is None and prompt.grad is None
    kept = (found.gradient, found.adapted, found.support_loss, found.query_loss)
    assert not any(tensor.requires_grad for tensor in kept)


@each(ALL)
def test_learned_inner_rates_are_refused(engine):
    with pytest.raises(UserError, match=r"has one fixed inner_lr; MAML and FoMAML learn inner rates"):
        engine(0.1, 1)(lambda p, batch: p.sum(), torch.ones(2, 3), [None], None, rate=torch.tensor(0.1))


def test_learn2learn_is_loaded_without_its_other_parts_and_leaves_no_half_made_package(learn2learn):
    assert learn2learn.__module__ == "learn2learn.algorithms.maml"
    assert not [name for name in sys.modules if name.partition(".")[0] == "learn2learn"]


@pytest.fixture
def uncached():
    """The loader as in a new process."""
    maml.cache_clear()
    yield
    maml.cache_clear()


def test_a_whole_learn2learn_that_is_imported_already_is_used(monkeypatch, uncached):
    whole = ModuleType("learn2learn")
    whole.algorithms = SimpleNamespace(MAML=object())
    monkeypatch.setitem(sys.modules, "learn2learn", whole)
    assert maml() is whole.algorithms.MAML and sys.modules["learn2learn"] is whole


def test_learn2learn_that_is_not_installed(monkeypatch, uncached):
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    with pytest.raises(UserError, match=r"needs learn2learn, which is not installed; make learn2learn .*docs/start.md"):
        Learn2LearnMAML()


def test_learn2learn_that_does_not_load(monkeypatch, tmp_path, uncached):
    package = tmp_path / "learn2learn"
    package.joinpath("algorithms").mkdir(parents=True)
    package.joinpath("__init__.py").write_text("whole = True")
    package.joinpath("algorithms", "maml.py").write_text("raise RuntimeError('no such operator')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"does not load \(no such operator\); .*docs/start.md"):
        Learn2LearnFoMAML()
    assert importlib.import_module("learn2learn").whole, "an import by whoever wants all of it finds it"
    del sys.modules["learn2learn"]


def test_higher_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "higher", None)
    with pytest.raises(UserError, match=r"HigherFoMAML needs higher, which is not installed: pip install .*\[higher\]"):
        HigherFoMAML()
