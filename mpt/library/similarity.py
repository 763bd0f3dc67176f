"""How alike two tasks are, by their prompts (Vu et al. 2022, "SPoT", section 3.2; Qin et al. 2023, A.6 and A.7).

A task's embedding is the prompt ``[P, H]`` of an early, fixed step of prompt tuning on it. Every measure here compares
all of ``a`` with all of ``b`` without a tensor that has both their tokens: a thousand prompts against a thousand take
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mpt.library.pooling import direction_of_mean, directions, mean_of_directions
from mpt.util.errors import UserError

Similarity = Callable[[Tensor, Tensor], Tensor]

_AT_ONCE = 1 << 24
"""Numbers that a piece of the work may take beside its inputs."""


def pool_average(prompts: Tensor) -> Tensor:
    """The mean of each prompt's tokens, of length one: ``[N, P, H]`` to ``[N, H]``, zero where the mean is zero.

    ``pool_average(a) @ pool_average(b).T`` is :func:`average_token`.
    """
    return _pooled(prompts, direction_of_mean)


def pool_per_token(prompts: Tensor) -> Tensor:
    """The mean of each prompt's tokens after each was brought to length one: ``[N, P, H]`` to ``[N, H]``.

    Its own length is at most one, and the less the more a prompt's tokens differ from each other. A zero token counts
    as zero. ``pool_per_token(a) @ pool_per_token(b).T`` is :func:`per_token`.
    """
    return _pooled(prompts, mean_of_directions)


def average_token(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of average tokens (SPoT, section 3.2): cos(mean_i a_i, mean_j b_j).

    Args:
        a, b: prompts, ``[N, P, H]`` and ``[M, Q, H]``.

    Returns:
        ``[N, M]``, from -1 to 1; zero for a prompt whose mean is zero.

    Raises:
        ValueError: other shapes.
    """
    _check(a, b)
    return pool_average(a) @ pool_average(b).T


def per_token(a: Tensor, b: Tensor) -> Tensor:
    """Per-token average cosine similarity (SPoT, section 3.2): the mean of cos(a_i, b_j) over all i and j.

    A mean of dot products of unit vectors is the dot product of their means, so that it costs no more than
    :func:`average_token`. A zero token has the cosine zero with every other. With itself, a prompt has a similarity
    below one wherever its tokens differ.

    Args:
        a, b: prompts, ``[N, P, H]`` and ``[M, Q, H]``.

    Returns:
        ``[N, M]``, from -1 to 1.

    Raises:
        ValueError: other shapes.
    """
    _check(a, b)
    return pool_per_token(a) @ pool_per_token(b).T


def subspace(a: Tensor, b: Tensor, energy: float = 0.95) -> Tensor:
    """Correlation of input subspaces (Qin et al. 2023, A.6 and A.7).

    A prompt's subspace is spanned by its first r right singular vectors, r the least that have at least ``energy`` of
    the squared norm of all singular values (Saha et al. 2021). Two subspaces correlate by the Frobenius norm of the
    projection of the one's basis onto the other (Lin et al. 2022). The papers do not say what it is divided by: here
    the square root of the smaller r, the most that it can be. So it is 1 where one subspace contains the other, as with
    itself, 0 where they are orthogonal, and symmetric.

    Args:
        a, b: prompts, ``[N, P, H]`` and ``[M, Q, H]``.
        energy: above 0, at most 1.

    Returns:
        ``[N, M]``, from 0 to 1; zero for a prompt of zeros, which spans nothing.

    Raises:
        ValueError: other shapes, another energy.
    """
    _check(a, b)
    if not 0 < energy <= 1:
        raise ValueError(f"energy must be above 0 and at most 1, not {energy}")
    bases, others = _bases(a, energy), _bases(b, energy)
    ranks, other_ranks = ((v != 0).any(2).sum(1) for v in (bases, others))
    least = torch.minimum(ranks[:, None], other_ranks[None, :])
    shared = (_overlap(bases, others) / least.clamp(min=1)).clamp(0, 1).sqrt()
    return shared.to(_result_type(a))


def centred(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of whole prompts less the mean of ``b``: cos(a_i - c, b_j - c), their tokens in a row each.

    Keys that start alike and all learn to answer are alike for that, whatever their tasks: of a cosine between them
    nearly all is what they share. What is left without it is what each task taught, token by token. (Without the common
    start alone it would be the cosine of task vectors; the mean takes off too what every task teaches.)

    Args:
        a, b: prompts, ``[N, P, H]`` and ``[M, P, H]``; ``b`` is the library's, where a key is sought in one.

    Returns:
        ``[N, M]``, from -1 to 1; zero for a prompt that is the mean, as the only one of ``b`` is.

    Raises:
        ValueError: other shapes.
    """
    _check(a, b)
    return around(centre_of(_pieces(b)), a, b)


def centre_of(pieces: Iterable[Tensor]) -> Tensor:
    """The mean ``[P, H]`` of prompts ``[n, P, H]`` that come in pieces, at least one of them; float64."""
    parts = [(piece.double().sum(0), len(piece)) for piece in pieces]
    return torch.stack([total for total, _ in parts]).sum(0) / max(1, sum(count for _, count in parts))


def around(centre: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """:func:`centred` about a centre ``[P, H]`` that is known."""
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"prompts must be [N, P, H] and [M, P, H], not {list(a.shape)} and {list(b.shape)}")
    rows = [torch.cat([one @ other.T for other in _around(centre, b)], 1) for one in _around(centre, a)]
    return torch.cat(rows).to(_result_type(a))


SIMILARITIES: dict[str, Similarity] = {
    "average_token": average_token,
    "per_token": per_token,
    "subspace": subspace,
    "centred": centred,
}
"""Every measure by its name."""


def transfer_weights(similarities: Tensor | Sequence[float]) -> Tensor:
    """Weights of the source prompts in their average (SPoT, section 3.3): each one's share of the similarities' sum.

    The paper takes similarities to be positive. A source with a similarity of zero or less gets the weight zero.

    Args:
        similarities: ``[k]``, of each source task to the target task.

    Returns:
        ``[k]``, float64, of sum one.

    Raises:
        UserError: none is above zero, or one is not a number.
    """
    values = torch.as_tensor(similarities, dtype=torch.float64)
    if values.dim() != 1 or not len(values):
        raise ValueError(f"similarities must be [k], not {list(values.shape)}")
    if not values.isfinite().all():
        raise UserError(f"similarity {int((~values.isfinite()).nonzero()[0])} of {len(values)} is not a finite number")
    positive = values.clamp(min=0)
    if not positive.any():
        given = ", ".join(f"{value:.3f}" for value in values.tolist())
        raise UserError(f"no source task is similar to the target task ({given}), so that no average is defined")
    # Divided by the largest first, so that the sum of similarities close to zero is not lost.
    positive = positive / positive.max()
    return positive / positive.sum()


def weighted_average(values: Tensor, similarities: Tensor | Sequence[float]) -> Tensor:
    """Weighted average of top-k (SPoT, section 3.3): one prompt to start from, of k source prompts.

    Args:
        values: the source tasks' prompts, ``[k, P, H]``.
        similarities: ``[k]``, of each source task to the target task.

    Returns:
        ``[P, H]`` in the dtype of ``values``.
    """
    weights = transfer_weights(similarities)
    if values.dim() != 3 or len(values) != len(weights):
        raise ValueError(f"values must be [{len(weights)}, P, H], not {list(values.shape)}")
    weights = weights.to(values.device)
    return torch.einsum("k,kph->ph", weights, values.double()).to(values.dtype)


def over_runs(
    similarities: Tensor, tasks_a: Sequence[str], tasks_b: Sequence[str]
) -> tuple[list[str], list[str], Tensor]:
    """Similarities of tasks from those of runs: the mean over all pairs of a run of the one and a run of the other.

    With three seeds each these are the nine combinations of SPoT's figure 4. A task is compared with itself likewise,
    by all pairs of its runs, each with itself among them.

    Args:
        similarities: ``[N, M]``.
        tasks_a: the N runs' tasks.
        tasks_b: the M runs' tasks.

    Returns:
        The n different tasks of the rows and the m of the columns, in the order in which they come first, and
        ``[n, m]``.
    """
    if list(similarities.shape) != [len(tasks_a), len(tasks_b)]:
        raise ValueError(f"similarities must be [{len(tasks_a)}, {len(tasks_b)}], not {list(similarities.shape)}")
    rows, columns = list(dict.fromkeys(tasks_a)), list(dict.fromkeys(tasks_b))
    left, right = (_means(tasks, names).to(similarities) for tasks, names in ((tasks_a, rows), (tasks_b, columns)))
    return rows, columns, left @ similarities @ right.T


def _means(tasks: Sequence[str], names: Sequence[str]) -> Tensor:
    """``[names, runs]``: takes the mean over the runs of each name."""
    same = torch.tensor([[task == name for task in tasks] for name in names], dtype=torch.float64)
    return same.reshape(len(names), len(tasks)) / same.sum(1, keepdim=True)


def _check(a: Tensor, b: Tensor) -> None:
    if a.dim() != 3 or b.dim() != 3 or a.shape[2] != b.shape[2]:
        raise ValueError(f"prompts must be [N, P, H] and [M, Q, H], not {list(a.shape)} and {list(b.shape)}")


def _result_type(prompts: Tensor) -> torch.dtype:
    """That of the prompts, but no coarser than float32."""
    return torch.promote_types(prompts.dtype, torch.float32)


def _pieces(prompts: Tensor) -> Iterator[Tensor]:
    """In float64, as many at a time as memory allows."""
    if prompts.dim() != 3:
        raise ValueError(f"prompts must be [N, P, H], not {list(prompts.shape)}")
    count = max(1, _AT_ONCE // max(1, prompts.shape[1] * prompts.shape[2]))
    for part in prompts.split(count):
        yield part.detach().double()


def _pooled(prompts: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([pool(part) for part in _pieces(prompts)]).to(_result_type(prompts))


def _around(centre: Tensor, prompts: Tensor) -> Iterator[Tensor]:
    """``[n, P * H]``, each of length one."""
    for part in _pieces(prompts):
        yield directions((part - centre).flatten(1))


def _bases(prompts: Tensor, energy: float) -> Tensor:
    """``[N, r, H]``, float64: orthonormal rows that span each prompt's subspace, filled up with zeros where another's
    has more dimensions.
    """
    found: list[Tensor] = []
    for part in _pieces(prompts):
        squares, right = _spectrum(part, energy)
        total = squares.sum(1, keepdim=True)
        # A direction is in as long as those before it have less than the share; rounding must not add one.
        kept = squares.cumsum(1) - squares < energy * total * (1 - 1e-12)
        kept &= squares > squares[:, :1] * (max(part.shape[1:]) * torch.finfo(torch.float64).eps) ** 2
        found.append((right * kept[:, :, None]).to(_result_type(prompts)))
    bases = torch.cat(found)
    return bases[:, : int((bases != 0).any(2).sum(1).max()) if len(bases) else 0]


def _spectrum(prompts: Tensor, energy: float) -> tuple[Tensor, Tensor]:
    """Squared singular values ``[N, r]``, the largest first, and right singular vectors ``[N, r, H]``."""
    length, width = prompts.shape[1:]
    if length > width or energy > 0.999 or not prompts.isfinite().all():
        _, singular, right = torch.linalg.svd(prompts, full_matrices=False)
        return singular.square(), right
    # The same from the tokens' dot products, in a third of the time: U^T X = S V^T. What it loses are directions
    # whose square is next to nothing beside the largest, which are past any smaller share.
    squares, left = torch.linalg.eigh(prompts @ prompts.transpose(1, 2))
    squares, right = squares.flip(1).clamp(min=0), left.flip(2).transpose(1, 2) @ prompts
    return squares, directions(right)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """``[N, M]``: the squared Frobenius norm of A B^T for all pairs of bases A ``[r, H]`` and B ``[q, H]``.

    It is the sum over all entries of the product of the two projections A^T A and B^T B, ``[H, H]``, of which a few
    rows at a time are made; both are symmetric, so that those above the diagonal count twice.
    """
    width = a.shape[2]
    rows = max(1, min(width, _AT_ONCE // max(1, width * max(len(a), len(b)))))
    shared = a.new_zeros(len(a), len(b))
    for start in range(0, width, rows):
        here = slice(start, start + rows)
        left, right = (v[:, :, here].transpose(1, 2) @ v[:, :, start:] for v in (a, b))  # [N, rows, H - start]
        left[:, :, rows:] *= 2
        shared += left.flatten(1) @ right.flatten(1).T
    return shared
