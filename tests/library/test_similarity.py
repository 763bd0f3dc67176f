"""Similarities of tasks against direct loops over the papers' definitions, in plain Python floats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mpt.library.similarity import (
    SIMILARITIES,
    average_token,
    centred,
    over_runs,
    per_token,
    pool_average,
    pool_per_token,
    subspace,
    transfer_weights,
    weighted_average,
)
from mpt.util.errors import UserError


def draw(count: int, length: int, width: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    # A common part, as prompts have that start alike, and tokens of very different lengths.
    common = torch.randn(1, 1, width, generator=rng, dtype=torch.float64)
    scale = torch.rand(count, length, 1, generator=rng, dtype=torch.float64).exp() * 3
    return (scale * (common + torch.randn(count, length, width, generator=rng, dtype=torch.float64))).to(dtype)


def cosine(x: list[float], y: list[float]) -> float:
    lengths = math.sqrt(sum(v * v for v in x)) * math.sqrt(sum(v * v for v in y))
    return sum(v * w for v, w in zip(x, y, strict=True)) / lengths if lengths else 0.0


def average_by_hand(a: list[list[float]], b: list[list[float]]) -> float:
    means = [[sum(token[h] for token in prompt) / len(prompt) for h in range(len(prompt[0]))] for prompt in (a, b)]
    return cosine(*means)


def per_token_by_hand(a: list[list[float]], b: list[list[float]]) -> float:
    return sum(cosine(x, y) for x in a for y in b) / (len(a) * len(b))


def subspace_by_hand(a: list[list[float]], b: list[list[float]], energy: float = 0.95) -> float:
    bases = []
    for prompt in (a, b):
        _, singular, right = np.linalg.svd(np.array(prompt))
        rank = 0
        while sum(s * s for s in singular[:rank]) < energy * sum(s * s for s in singular) * (1 - 1e-12):
            rank += 1
        bases.append(right[:rank].tolist())
    if not all(bases):
        return 0.0
    total = sum(sum(x * y for x, y in zip(v, w, strict=True)) ** 2 for v in bases[0] for w in bases[1])
    return math.sqrt(total / min(len(bases[0]), len(bases[1])))


BY_HAND = {"average_token": average_by_hand, "per_token": per_token_by_hand, "subspace": subspace_by_hand}
"""Those of two prompts alone."""


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize(("length", "other", "width"), [(6, 6, 9), (3, 7, 5), (12, 4, 6), (1, 2, 8)])
def test_similarities_are_those_of_a_direct_loop(name, length, other, width):
    a, b = draw(4, length, width, 1), draw(5, other, width, 2)
    a[1, 0] = 0  # a zero token
    a[2] = 0  # a zero prompt
    b[0, 0] *= 1e-30
    found = SIMILARITIES[name](a, b)
    assert found.shape == (4, 5)
    for i, one in enumerate(a.tolist()):
        for j, two in enumerate(b.tolist()):
            assert found[i, j].item() == pytest.approx(BY_HAND[name](one, two), abs=1e-6)


def test_what_prompts_have_in_common_does_not_make_them_alike():
    a, b = draw(4, 5, 7, 17), draw(6, 5, 7, 18)
    found = centred(a, b)
    centre = [[sum(prompt[i][h] for prompt in b.tolist()) / 6 for h in range(7)] for i in range(5)]
    for i, one in enumerate(a.tolist()):
        for j, two in enumerate(b.tolist()):
            taught = [[k[t][h] - centre[t][h] for t in range(5) for h in range(7)] for k in (one, two)]
            assert found[i, j].item() == pytest.approx(cosine(*taught), abs=1e-9)
    start = 100 * draw(1, 5, 7, 19)
    torch.testing.assert_close(centred(a + start, b + start), found, atol=1e-9, rtol=0)
    assert (average_token(a + start, b + start) > 0.999).all()  # what hides the tasks from a cosine of whole keys


def test_the_only_prompt_is_its_own_centre():
    a = draw(3, 4, 6, 20)
    assert centred(a, a[:1]).tolist() == [[0.0]] * 3
    with pytest.raises(ValueError, match=r"\[3, 4, 6\] and \[2, 5, 6\]"):
        centred(a, draw(2, 5, 6))


@pytest.mark.parametrize("energy", [0.3, 0.8, 0.9, 0.9999, 1.0])
def test_the_subspace_has_the_directions_that_the_energy_asks_for(energy):
    a, b = draw(2, 5, 8, 3), draw(3, 6, 8, 4)
    found = subspace(a, b, energy)
    for i, one in enumerate(a.tolist()):
        for j, two in enumerate(b.tolist()):
            assert found[i, j].item() == pytest.approx(subspace_by_hand(one, two, energy), abs=1e-6)


def test_many_prompts_are_compared_in_pieces(monkeypatch):
    a, b = draw(7, 5, 8, 5), draw(6, 5, 8, 6)
    whole = {name: measure(a, b) for name, measure in SIMILARITIES.items()}
    monkeypatch.setattr("mpt.library.similarity._AT_ONCE", 200)
    for name, measure in SIMILARITIES.items():
        torch.testing.assert_close(measure(a, b), whole[name], atol=1e-12, rtol=0)


def test_subspaces_correlate_fully_with_themselves_and_alike_both_ways():
    a, b = draw(6, 10, 24, 7), draw(5, 8, 24, 8)
    own = subspace(a, a)
    torch.testing.assert_close(own.diagonal(), torch.ones(6, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(own, own.T, atol=1e-12, rtol=0)
    torch.testing.assert_close(subspace(a, b), subspace(b, a).T, atol=1e-12, rtol=0)
    assert own.min() >= 0 and own.max() <= 1
    # Neither the scale of a prompt nor the order of its tokens changes what it spans.
    torch.testing.assert_close(subspace(3 * a.flip(1), b), subspace(a, b), atol=1e-9, rtol=0)


def test_subspaces_that_share_nothing_do_not_correlate_and_one_within_another_does_fully():
    plane = torch.zeros(1, 2, 6, dtype=torch.float64)
    plane[0, 0, 0] = plane[0, 1, 1] = 1
    across, line = plane.roll(2, dims=2), plane.clone()
    line[0, 1] = 0
    assert subspace(plane, across).item() == 0
    assert subspace(plane, line).item() == pytest.approx(1, abs=1e-12)
    assert average_token(plane, across).item() == 0 and per_token(plane, across).item() == 0


def test_cosines_of_a_task_with_itself():
    a = draw(3, 6, 9, 9)
    torch.testing.assert_close(average_token(a, a).diagonal(), torch.ones(3, dtype=torch.float64))
    assert (per_token(a, a).diagonal() < 1).all()  # its tokens differ


def test_similarities_are_products_of_pooled_prompts():
    a, b = draw(4, 6, 9, 10), draw(3, 5, 9, 11)
    torch.testing.assert_close(pool_average(a) @ pool_average(b).T, average_token(a, b))
    torch.testing.assert_close(pool_per_token(a) @ pool_per_token(b).T, per_token(a, b))
    assert pool_average(a).shape == pool_per_token(a).shape == (4, 9)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_prompts_of_fewer_digits_are_compared_to_as_many_as_they_have(name, dtype, apart):
    a, b = draw(4, 10, 48, 12), draw(3, 10, 48, 13)
    found = SIMILARITIES[name](a.to(dtype), b.to(dtype))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), SIMILARITIES[name](a, b), atol=apart, rtol=0)


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", BY_HAND)
def test_a_thousand_are_compared_with_a_thousand(name):
    """A loop takes minutes, and a tensor with the tokens of both 1.6 GB."""
    a, b = (draw(1000, 20, 96, seed, torch.float32) for seed in (15, 16))
    found = SIMILARITIES[name](a, b)
    for i, j in ((0, 0), (999, 3), (400, 999)):
        assert found[i, j].item() == pytest.approx(BY_HAND[name](a[i].tolist(), b[j].tolist()), abs=1e-6)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_no_prompts_are_similar_to_none(name):
    assert SIMILARITIES[name](draw(0, 4, 6), draw(3, 4, 6)).shape == (0, 3)
    assert SIMILARITIES[name](draw(2, 4, 6), draw(0, 4, 6)).shape == (2, 0)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_prompts_of_other_widths_are_refused(name):
    with pytest.raises(ValueError, match=r"\[2, 4, 6\] and \[2, 4, 7\]"):
        SIMILARITIES[name](draw(2, 4, 6), draw(2, 4, 7))
    with pytest.raises(ValueError, match=r"not \[4, 6\]"):
        SIMILARITIES[name](draw(2, 4, 6)[0], draw(2, 4, 6))


@pytest.mark.parametrize("energy", [0, -0.5, 1.1, math.nan])
def test_an_energy_that_is_no_share_is_refused(energy):
    with pytest.raises(ValueError, match="energy"):
        subspace(draw(1, 2, 3), draw(1, 2, 3), energy)


def test_a_weighted_average_is_that_of_a_direct_loop():
    values, similarities = draw(4, 3, 5, 14), [0.7, 0.2, 0.05, 0.4]
    total = sum(similarities)
    expected = [
        [sum(s / total * values[r, i, h].item() for r, s in enumerate(similarities)) for h in range(5)]
        for i in range(3)
    ]
    assert transfer_weights(similarities).tolist() == pytest.approx([s / total for s in similarities], abs=1e-12)
    np.testing.assert_allclose(weighted_average(values, torch.tensor(similarities)).numpy(), expected, atol=1e-6)
    assert weighted_average(values.to(torch.bfloat16), similarities).dtype == torch.bfloat16
    torch.testing.assert_close(weighted_average(values[:1], [0.3]), values[0])


def test_a_task_that_is_not_similar_has_no_weight():
    assert transfer_weights([0.6, -0.5, 0.2, 0.0]).tolist() == pytest.approx([0.75, 0, 0.25, 0])
    assert transfer_weights([1e-300, 3e-300]).tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("similarities", "said"), [([-0.1, 0.0], r"\(-0.100, 0.000\)"), ([0.3, math.nan], "similarity 1 of 2")]
)
def test_similarities_that_give_no_weights_are_told(similarities, said):
    with pytest.raises(UserError, match=said):
        transfer_weights(similarities)


def test_values_that_do_not_match_their_similarities_are_refused():
    with pytest.raises(ValueError, match=r"\[3, P, H\], not \[2, 3, 4\]"):
        weighted_average(draw(2, 3, 4), [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"\[k\]"):
        transfer_weights([])


def test_runs_of_a_task_are_averaged_over_all_pairs():
    a, b = ["x", "y", "x", "x"], ["z", "w", "z"]
    similarities = torch.arange(12, dtype=torch.float64).reshape(4, 3).square()
    rows, columns, found = over_runs(similarities, a, b)
    assert rows == ["x", "y"] and columns == ["z", "w"]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            pairs = [similarities[m, n].item() for m in range(4) for n in range(3) if (a[m], b[n]) == (row, column)]
            assert found[i, j].item() == pytest.approx(sum(pairs) / len(pairs))
    with pytest.raises(ValueError, match=r"\[4, 2\]"):
        over_runs(similarities, a, b[:2])
