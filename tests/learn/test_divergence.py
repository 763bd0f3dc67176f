"""Inner loops that run away are told from those that do not."""

from __future__ import annotations

import torch

from mpt.learn.divergence import EXPLODED, first_exploded_episode

START = torch.full((2, 3), 4.0)
FINE = torch.tensor([1.0, 2.0])


def both(first: float, second: float) -> torch.Tensor:
    """Two adapted prompts that moved by so many times the norm of the start."""
    return START + torch.tensor([first, second]).view(2, 1, 1) * START


def test_a_loop_that_stays_near_is_fine():
    assert first_exploded_episode(START, both(0.5, 0.99 * EXPLODED), 1.0, ["a", "b"], {"loss": FINE}) is None


def test_the_first_that_went_too_far_is_named_with_its_numbers():
    task, seen = first_exploded_episode(START, both(0.1, 2 * EXPLODED), 1.0, ["a", "b"], {"loss": FINE})
    assert task == "b" and "loss 2" in seen and f"moved by {2 * EXPLODED:.3g} times" in seen


def test_what_is_not_finite_ran_away():
    for bad in (float("nan"), float("inf")):
        task, seen = first_exploded_episode(START, both(0.1, 0.1), 1.0, ["a", "b"], {"loss": torch.tensor([1.0, bad])})
        assert task == "b" and f"loss {bad}" in seen
        assert first_exploded_episode(START, START * bad, 1.0, ["a"], {"loss": torch.tensor(1.0)}) is not None


def test_a_prompt_of_zeros_is_measured_by_an_ordinary_one():
    zeros = torch.zeros_like(START)
    assert first_exploded_episode(zeros, zeros + 1e-3, 5.0, ["a"], {"loss": torch.tensor(1.0)}) is None
    assert first_exploded_episode(zeros, zeros + 5.0 * EXPLODED, 5.0, ["a"], {"loss": torch.tensor(1.0)}) is not None
