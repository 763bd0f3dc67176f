"""Mixing rates against their closed form."""

import numpy as np
import pytest

from mpt.data.tasks.mixing import mixing_rates
from mpt.util.errors import UserError


def test_rates_are_proportional_to_the_sizes():
    assert mixing_rates([1, 3, 4]).tolist() == [0.125, 0.375, 0.5]


def test_the_limit_caps_a_size():
    assert mixing_rates([100, 300, 10**9], limit=400).tolist() == [0.125, 0.375, 0.5]
    assert mixing_rates([100, 300, 10**9], limit=50).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 7.0])
def test_temperature(temperature):
    sizes, limit = [10, 200, 5000], 1000
    rates = np.array([10, 200, 1000]) / 1210
    scaled = rates ** (1 / temperature)
    np.testing.assert_allclose(mixing_rates(sizes, limit, temperature), scaled / scaled.sum(), rtol=1e-12)


def test_temperature_runs_from_the_largest_alone_to_all_alike():
    assert mixing_rates([1, 10], temperature=1e9).tolist() == pytest.approx([0.5, 0.5])
    assert mixing_rates([1, 10], temperature=1e-6).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"sizes": []}, "sizes are"),
        ({"sizes": [3, 0]}, r"sizes are \[3, 0\]"),
        ({"sizes": [3], "limit": 0}, "size limit must be 1 or more, not 0"),
        ({"sizes": [3], "temperature": 0.0}, "temperature must be above 0"),
        ({"sizes": [3], "temperature": float("nan")}, "temperature must be above 0"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        mixing_rates(**arguments)
