"""Trials drawn and listed."""

from __future__ import annotations

import math

import pytest

from mpt.sweep.distributions import ParameterFile, canonical
from mpt.sweep.sampling import drawn, grid
from mpt.util.errors import UserError
from mpt.util.schema import checked


def parameter(**content):
    return checked(content, {}, "here", ParameterFile).parameter()


def test_a_grid_has_every_combination_once():
    found = grid({"a": parameter(values=[1, 2.0, 2]), "b": parameter(min=1, max=3), "c": parameter(value="x")}, "here")
    assert found == [{"a": a, "b": b, "c": "x"} for a in (1, 2) for b in (1, 2, 3)]


def test_steps_are_multiples():
    found = grid({"a": parameter(distribution="q_uniform", min=0.1, max=0.5, q=0.1)}, "here")
    assert [values["a"] for values in found] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_wide_range_is_drawn_from_without_a_list_of_it():
    wide = parameter(min=0, max=10**12)
    (values,) = drawn({"a": wide}, 1, 13)
    assert type(values["a"]) is int and 0 <= values["a"] <= 10**12
    with pytest.raises(UserError, match=r"here: a grid of 1,000,000,000,001 trials"):
        grid({"a": wide}, "here")


def test_a_grid_of_a_range_is_refused():
    with pytest.raises(UserError, match=r"here: a may be any number.*random or bayes"):
        grid({"a": parameter(min=0.0, max=1.0)}, "here")


def test_whole_bounds_without_a_word_are_whole_numbers_as_in_wandb():
    assert {type(values["a"]) for values in drawn({"a": parameter(min=1, max=50)}, 9, 13)} == {int}
    assert float in {type(values["a"]) for values in drawn({"a": parameter(min=1, max=50.0)}, 9, 13)}


def test_draws_are_a_function_of_the_seed_and_a_longer_sweep_begins_as_the_shorter():
    parameters = {
        "a": parameter(distribution="log_uniform_values", min=1.0e-4, max=1),
        "b": parameter(values=["x", "y"]),
    }
    assert drawn(parameters, 30, 13)[:10] == drawn(parameters, 10, 13) != drawn(parameters, 10, 14)


def test_the_logarithm_is_even_and_the_digits_few():
    low, high = 1.0e-4, 1.0
    found = drawn({"a": parameter(distribution="log_uniform_values", min=low, max=high)}, 2000, 13)
    decades = [math.floor(math.log10(values["a"])) for values in found]
    assert all(low <= values["a"] <= high and values["a"] == float(f"{values['a']:.4g}") for values in found)
    assert all(400 < decades.count(decade) < 600 for decade in range(-4, 0))  # 500 each, deviation below 20
    even = drawn({"a": parameter(min=2.0, max=4.0)}, 1000, 13)
    assert abs(sum(values["a"] for values in even) / 1000 - 3) < 0.1  # deviation of the mean 0.018


def test_no_combination_is_drawn_twice_and_a_finite_space_is_exhausted():
    found = drawn({"a": parameter(min=1, max=3), "b": parameter(values=[True, False])}, 50, 13)
    assert len(found) == 6 and all(found.count(values) == 1 for values in found)


def test_a_value_has_one_form():
    assert canonical(3.0) == 3 and isinstance(canonical(3.0), int)
    assert canonical([1.0, "a"]) == (1, "a") and canonical(True) is True and canonical(0.5) == 0.5
