"""Ratings as words."""

import pytest

from mpt.data.catalogue.rows.numbers import stepped


def test_a_rating_is_the_nearest_multiple_of_the_step():
    rows = [{"n": n / 100} for n in range(501)]
    for row in stepped(rows, number="n", step=0.2):
        word = row["stepped"]
        assert abs(float(word) - row["n"]) <= 0.1 + 1e-9 and float(word) * 5 == pytest.approx(round(float(word) * 5))
    assert len({row["stepped"] for row in stepped(rows, number="n", step=0.2)}) == 26
    with pytest.raises(ValueError, match="step is 0"):
        list(stepped(rows, number="n", step=0))
