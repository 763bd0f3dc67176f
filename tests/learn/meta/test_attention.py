"""Fused attention: given up where something is differentiated twice, kept elsewhere, restored always."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
import torch
from support.meta_episode import ALGORITHMS, relative_error
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

import mpt.learn.meta.hessian as hessian
import mpt.learn.meta.maml as maml
from mpt.learn.meta.attention import twice_differentiable

KINDS = ["t5", "bart", "gpt2"]
LAYERS = {"t5": 6, "bart": 6, "gpt2": 2}
"""Attention layers of the small models: two of each, cross-attention counted."""

KERNELS: dict[str, Callable[[], bool]] = {
    "flash": torch.backends.cuda.flash_sdp_enabled,
    "memory-efficient": torch.backends.cuda.mem_efficient_sdp_enabled,
    "cudnn": torch.backends.cuda.cudnn_sdp_enabled,
    "math": torch.backends.cuda.math_sdp_enabled,
}


def allowed() -> dict[str, bool]:
    return {name: enabled() for name, enabled in KERNELS.items()}


class FusedCalls(TorchDispatchMode):
    """Counts forward calls of a fused attention kernel."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        self.count += "scaled_dot_product" in name and "backward" not in name
        return func(*args, **(kwargs or {}))


def test_fused_attention_cannot_be_differentiated_twice_here(episode):
    """Else the tests below would prove nothing."""
    model = episode("t5")
    point = model.prompt.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.loss(point, model.query), point, create_graph=True)
    with pytest.raises(RuntimeError, match="not implemented"):
        torch.autograd.grad(gradient.sum(), point)


@pytest.mark.long
@pytest.mark.parametrize("hessian", ["finite_difference", "exact", "graph"])
@pytest.mark.parametrize("kind", KINDS)
def test_maml_works_on_sdpa_and_leaves_the_choice_of_kernels_as_it_was(episode, kind, hessian):
    model = episode(kind)
    assert model.backbone.config._attn_implementation == "sdpa"
    before = allowed()
    assert before["flash"]
    assert model.run(ALGORITHMS[hessian](0.01, 2)).gradient.isfinite().all()
    assert allowed() == before
    with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        mine = allowed()
        assert mine != before
        model.run(ALGORITHMS[hessian](0.01, 2))
        assert allowed() == mine


@pytest.mark.parametrize(
    ("name", "passes"), [("fomaml", 3), ("reptile", 3), ("graph", 3), ("exact", 5), ("finite_difference", 5)]
)
def test_an_error_restores_it_too(name, passes):
    """In any pass of two inner steps, the query and, where they take one, the products."""

    def failing_at(number: int):
        calls = count(1)

        def loss(prompt, batch):
            if next(calls) == number:
                raise RuntimeError("out of memory")
            return prompt.square().sum()

        return loss

    before = allowed()
    for number in range(1, passes + 1):
        with pytest.raises(RuntimeError, match="out of memory"):
            ALGORITHMS[name](0.1, 2)(failing_at(number), torch.ones(2, 3), [None], None)
        assert allowed() == before
    ALGORITHMS[name](0.1, 2)(failing_at(passes + 1), torch.ones(2, 3), [None], None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "passes"), [("fomaml", 4), ("reptile", 4), ("finite_difference", 10), ("exact", 4), ("graph", 0)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_who_stays_on_the_fused_kernel(monkeypatch, episode, kind, name, passes):
    """Three steps and the query; a difference to both sides costs two more passes a step. Exact products alone leave
    it, graphs too."""
    model, entered = episode(kind), []
    monkeypatch.setattr(hessian, "CURVED", 0.0)
    for module in (maml, hessian):
        monkeypatch.setattr(module, "twice_differentiable", lambda: entered.append(1) or twice_differentiable())
    with FusedCalls() as fused:
        model.run(ALGORITHMS[name](0.01, 3))
    assert fused.count == passes * LAYERS[kind]
    assert len(entered) == {"exact": 3, "graph": 1}.get(name, 0)


def test_the_plain_kernel_gives_the_same_loss(episode):
    model = episode("t5")
    fused = model.loss(model.prompt, model.query)
    with twice_differentiable():
        assert allowed() == {"flash": False, "memory-efficient": False, "cudnn": False, "math": True}
        torch.testing.assert_close(model.loss(model.prompt, model.query), fused)


@pytest.mark.long
@pytest.mark.parametrize("name", ["graph", "exact", "finite_difference"])
def test_eager_attention_gives_the_same_gradient(episode, name):
    model, eager = episode("t5_gated"), episode("t5_gated", attention="eager")
    with FusedCalls() as fused:
        found = eager.run(ALGORITHMS[name](0.03, 2)).gradient
    assert fused.count == 0
    closeness = 1e-2 if name == "finite_difference" else 1e-5
    assert relative_error(found, model.run(ALGORITHMS[name](0.03, 2)).gradient) < closeness
