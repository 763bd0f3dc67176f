"""Meta-gradients on a GPU against the CPU's, and what only a GPU has: generators of its own, fused kernels, TF32.

Without a GPU on one in name (:mod:`support.cuda_in_name`), where each operator takes ten times as long: fewer steps.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from support.cuda_in_name import IN_NAME, ONLY_ON_A_GPU, on_a_gpu
from support.meta_episode import ALGORITHMS, Episode, relative_error

from mpt.learn.meta import MAML, FoMAML
from mpt.learn.meta.attention import twice_differentiable
from mpt.learn.meta.full_precision import full_precision
from mpt.learn.meta.inner_loop import gradient_of
from mpt.util.random_state import RandomState

pytestmark = pytest.mark.usefixtures("cuda")

CUDA = torch.device("cuda")
LR, STEPS = 0.03, 1 if IN_NAME else 3


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Float32 as it is, without TF32; as before afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def there(episode: Episode) -> Episode:
    """The episode on the GPU, with a model of its own."""
    backbone = copy.deepcopy(episode.backbone).to(CUDA)
    support = [batch.to(CUDA) for batch in episode.support]
    return Episode(backbone, episode.prompt.to(CUDA), support, episode.query.to(CUDA))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5_gated", "bart", on_a_gpu("gpt2"), "llama"])
@pytest.mark.parametrize("name", ["finite_difference", "exact", on_a_gpu("graph"), on_a_gpu("fomaml"), "reptile"])
def test_meta_gradients_are_the_cpus(episode, name, kind):
    model = episode(kind)
    found, expected = (one.run(ALGORITHMS[name](LR, STEPS)).gradient for one in (there(model), model))
    assert found.device.type == "cuda"
    # A difference of gradients magnifies their rounding: its second-order term holds 1 %.
    assert relative_error(found.cpu(), expected) < (2e-2 if name == "finite_difference" else 1e-3)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5_gated", "bart", "llama"])
def test_meta_gradients_under_autocast_are_nearly_float32s(episode, kind):
    model = episode(kind)
    on_gpu = there(model)
    for name in ("graph", "fomaml"):
        with torch.autocast("cuda", torch.bfloat16):
            found = on_gpu.run(ALGORITHMS[name](LR, STEPS)).gradient
        assert found.device.type == "cuda" and found.dtype == torch.float32
        assert 0 < relative_error(found.cpu(), model.run(ALGORITHMS[name](LR, STEPS)).gradient) < 0.3, name


@ONLY_ON_A_GPU
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_the_second_order_term_by_difference_is_the_exact_one(episode, steps, training):
    model = there(episode("t5_gated", training=training))
    with twice_differentiable():  # fused attention draws masks of its own
        found, exact, first_order = (
            model.run(algorithm).gradient
            for algorithm in (MAML(LR, steps), MAML(LR, steps, "exact"), FoMAML(LR, steps))
        )
    assert relative_error(found - first_order, exact - first_order) < 0.02
    assert relative_error(first_order, exact) > 0.02, "the second order must matter here"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", on_a_gpu("bart"), on_a_gpu("gpt2")])
def test_exact_and_one_graph_see_the_same_masks(episode, kind):
    model = there(episode(kind, training=True))
    with twice_differentiable():  # exact takes the query, which needs no second gradient, by fused attention
        exact, graph = (model.run(MAML(LR, STEPS, hessian)).gradient for hessian in ("exact", "graph"))
        other = model.run(MAML(LR, STEPS, "graph"), seed=4).gradient
    assert relative_error(exact, graph) < 1e-4
    assert relative_error(other, graph) > 0.05, "dropout must matter"


@pytest.mark.parametrize("kind", ["t5", "bart", on_a_gpu("gpt2")])
def test_a_mask_is_drawn_again_and_the_generators_go_on_as_if_nothing_had_happened(episode, kind):
    model = there(episode(kind, training=True))

    def gradient() -> torch.Tensor:
        return gradient_of(model.loss, model.prompt, model.support[0])[1]

    torch.manual_seed(3)
    state = RandomState(CUDA)
    drawn = gradient()
    torch.manual_seed(9)
    expected = torch.rand(4), torch.rand(4, device=CUDA)
    torch.manual_seed(9)
    with state.replayed():
        again = gradient()
    assert all(torch.equal(torch.rand_like(one), one) for one in expected)
    assert relative_error(again, drawn) < 1e-5
    assert relative_error(gradient(), drawn) > 0.05, "dropout must matter here"


@ONLY_ON_A_GPU
def test_full_precision_is_without_tf32():
    one, other = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    exact = one.double() @ other.double()
    torch.set_float32_matmul_precision("high")
    with full_precision(CUDA):
        assert relative_error((one.to(CUDA) @ other.to(CUDA)).cpu(), exact) < 1e-6
    if torch.cuda.get_device_capability() >= (8, 0):  # older ones have no TF32
        assert relative_error((one.to(CUDA) @ other.to(CUDA)).cpu(), exact) > 1e-5


@pytest.mark.long
@pytest.mark.parametrize("way", [on_a_gpu("tf32"), "bf16"])
def test_the_second_order_term_where_arithmetic_is_reduced(episode, way):
    """Close to float32's; what is left is the trajectory, which is taken in few bits."""
    model = there(episode("t5_gated"))
    expected = model.run(MAML(LR, STEPS, "exact")).gradient - model.run(FoMAML(LR, STEPS)).gradient
    torch.set_float32_matmul_precision("high" if way == "tf32" else "highest")
    with torch.autocast("cuda", torch.bfloat16, enabled=way == "bf16"):
        found = model.run(MAML(LR, STEPS)).gradient - model.run(FoMAML(LR, STEPS)).gradient
    assert found.dtype == torch.float32
    assert relative_error(found, expected) < {"tf32": 0.02, "bf16": 0.15}[way]
