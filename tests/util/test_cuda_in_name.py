"""CUDA in name: it refuses what torch's own fake CUDA refuses, casts as its autocast does, and computes as the CPU."""

from __future__ import annotations

import pytest
import torch
from support.cuda_in_name import CUDA, IN_NAME, OnCuda, cuda_in_name
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

pytestmark = pytest.mark.skipif(not IN_NAME, reason="there is a CUDA device here")

CALLS = {
    "sum of two": lambda x, y, i, b: x + y,
    "product": lambda x, y, i, b: x @ y,
    "joined": lambda x, y, i, b: torch.cat([x, y]),
    "stacked": lambda x, y, i, b: torch.stack([x, y]),
    "a number": lambda x, y, i, b: x * y.sum(),
    "one of two": lambda x, y, i, b: torch.where(b, x, y),
    "one of two or a number": lambda x, y, i, b: torch.where(b, x, y.sum()),
    "rows": lambda x, y, i, b: x[i],
    "rows and columns": lambda x, y, i, b: x[i, i],
    "masked": lambda x, y, i, b: x.masked_fill(b, 1.0),
    "scattered": lambda x, y, i, b: x.masked_scatter(b, y),
    "selected": lambda x, y, i, b: x.index_select(0, i),
    "gathered": lambda x, y, i, b: x.gather(0, i[None]),
    "looked up": lambda x, y, i, b: F.embedding(i, x),
    "set": lambda x, y, i, b: x.clone().index_put((i,), y[0]),
    "set in place": lambda x, y, i, b: x.clone().__setitem__(i, y[0]),
    "weighed": lambda x, y, i, b: F.cross_entropy(x, i),
    "linear": lambda x, y, i, b: F.linear(x, y),
    "normed": lambda x, y, i, b: F.layer_norm(x, (3,), y[0]),
    "copied": lambda x, y, i, b: x.clone().copy_(y),
    "among": lambda x, y, i, b: torch.isin(i, torch.ones(2, dtype=torch.long)),
}
"""Of two matrices, an index and a mask, all of three rows."""

INDEXED = ("rows", "rows and columns", "set", "set in place")


def operands() -> list[torch.Tensor]:
    x, y = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(0))
    return [x, y, torch.tensor([2, 0, 1]), x > 0.5]


def refuses(call, moved: tuple[int, ...]) -> str | None:
    """What is said where some of the operands are on CUDA."""
    try:
        call(*(each.to(CUDA) if place in moved else each for place, each in enumerate(operands())))
    except RuntimeError as error:
        return f"{type(error).__name__} {error}"
    return None


@pytest.mark.parametrize("moved", [(0,), (0, 1), (0, 1, 3), (0, 1, 2), (1,), (2,), (0, 1, 2, 3), ()])
def test_it_refuses_what_torchs_fake_cuda_refuses(moved):
    compared = []
    for name, call in CALLS.items():
        with FakeTensorMode(allow_non_fake_inputs=True):
            expected = refuses(call, moved)
        if expected is not None and "not linked with support for cuda" in expected:
            continue  # a few operators ask for CUDA's stream even there
        with cuda_in_name():
            torch.ones(1, device=CUDA)
            found = refuses(call, moved)
        if moved == (2,) and name in INDEXED:
            expected = "the fake one lets an index on CUDA into the CPU's tensor; CUDA says it should be on the device"
        assert (found is None) == (expected is None), f"{name}: {found}, {expected}"
        assert found is None or ("same device" in found and "device" in str(expected)), name
        compared.append(found)
    assert len(compared) > 12 and (any(compared) or moved in ((), (0, 1, 2, 3)))


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("name", [name for name in CALLS if name != "among"])
def test_results_and_gradients_are_the_cpus(name):
    given = operands()
    x, there = given[0].clone().requires_grad_(), given[0].to(CUDA).requires_grad_()
    expected = CALLS[name](x, *given[1:])
    found = CALLS[name](there, *(each.to(CUDA) for each in given[1:]))
    if expected is None:
        return
    assert isinstance(found, OnCuda) and found.device == CUDA and found.is_cuda
    assert torch.equal(found.cpu(), expected) and type(found.cpu()) is torch.Tensor
    if expected.requires_grad:
        ((own,), (theirs,)) = (
            torch.autograd.grad(each.square().sum(), leaf, allow_unused=True)
            for each, leaf in ((expected, x), (found, there))
        )
        assert (own is None and theirs is None) or torch.equal(theirs.cpu(), own)


@pytest.mark.usefixtures("cuda")
def test_autocast_has_cudas_lists():
    x = torch.rand(3, 3, generator=torch.Generator().manual_seed(0)).to(CUDA)
    low = x.bfloat16()
    assert (x @ x).dtype == torch.float32
    with torch.autocast("cuda", torch.bfloat16):
        for product in (x @ x, x @ low, F.linear(x, low), torch.bmm(x[None], x[None])):
            assert product.dtype == torch.bfloat16
        # On a CPU's list only the last of these is in float32.
        for number in (low.softmax(-1), low.sum(), F.layer_norm(low, (3,)), low.rsqrt(), low.cumsum(0), low + x):
            assert number.dtype == torch.float32
        assert low.relu().dtype == torch.bfloat16
        with torch.autocast("cuda", enabled=False):
            assert (x @ x).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.float32


@pytest.mark.usefixtures("cuda")
def test_a_gpu_draws_from_a_generator_of_its_own():
    x = torch.ones(64, device=CUDA)
    torch.manual_seed(3)
    kept = torch.cuda.get_rng_state()
    first = F.dropout(x)
    torch.default_generator.manual_seed(3)
    assert not torch.equal(F.dropout(x), first), "the CPU's seed says nothing to it"
    torch.cuda.set_rng_state(kept)
    assert torch.equal(F.dropout(x), first)
    torch.manual_seed(3)
    assert torch.equal(F.dropout(x), first)


@pytest.mark.usefixtures("cuda")
def test_what_it_cannot_do_as_on_cuda():
    with pytest.raises((TypeError, RuntimeError)):
        torch.ones(2, device=CUDA).numpy()
