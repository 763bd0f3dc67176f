"""Calibration against its definitions: Guo et al. (2017) and Zhao et al. (2021)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpt.use.answers.calibration import Calibration, calibration_error


def test_a_temperature_that_labels_were_drawn_with_is_found_again():
    generator = torch.Generator().manual_seed(0)
    scores = 4 * torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    right = torch.multinomial((scores / 2.5).softmax(1), 1, generator=generator)[:, 0]
    found = Calibration().with_temperature(scores, right.tolist())
    assert found.temperature == pytest.approx(2.5, rel=0.03)
    # At the best temperature the mean score of the right label is the mean expected score: the derivative is zero.
    gold = scores.gather(1, right[:, None])[:, 0]
    assert float((gold - (found.probabilities(scores) * scores).sum(1)).mean()) == pytest.approx(0, abs=1e-3)
    errors = []
    for one in (Calibration(), found):
        sure, best = one.probabilities(scores).max(1)
        errors.append(calibration_error(sure.tolist(), (best == right).tolist()))
    assert errors[1] < 0.01 < errors[0]


def test_a_baseline_is_the_diagonal_of_zhao_and_others():
    scores = torch.tensor([[2.0, 1.0, 0.5], [0.1, 0.2, 0.3]], dtype=torch.float64)
    empty = torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, -1.0]], dtype=torch.float64)
    by_hand = scores.softmax(1) @ torch.diag(1 / empty.softmax(1).mean(0))
    found = Calibration().with_baseline(empty).probabilities(scores)
    torch.testing.assert_close(found, by_hand / by_hand.sum(1, keepdim=True))
    torch.testing.assert_close(Calibration().with_baseline(empty).probabilities(scores[0]), found[0])


def test_the_error_is_that_of_bins_by_hand():
    sure, hits = [0.95, 0.91, 0.52, 0.58, 1.0], [True, False, False, True, True]
    low, high = np.array([0.52, 0.58]), np.array([0.95, 0.91, 1.0])
    by_hand = 2 / 5 * abs(0.5 - low.mean()) + 3 / 5 * abs(2 / 3 - high.mean())
    assert calibration_error(sure, hits, bins=10) == pytest.approx(by_hand)
    assert calibration_error([1.0, 1.0], [True, True]) == 0 and calibration_error([1.0], [False]) == 1
