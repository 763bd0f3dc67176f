"""Rows left out: by a value, an empty text, a number with decimals, a rating between two bounds."""

import numpy as np
import pytest

from mpt.data.catalogue.rows.selection import binarised, filled, whole, without


def test_rows_with_a_value_that_is_no_label_are_left_out():
    rows = [{"claim": "a", "label": -1}, {"claim": "b", "label": 0}, {"claim": "c", "label": 2}]
    assert list(without(rows, column="label", values=[-1, 2])) == [{"claim": "b", "label": 0}]
    assert list(without([], column="label", values=[-1])) == []


def test_a_column_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="label"):
        list(without([{"claim": "a"}], column="label", values=[-1]))


def test_rows_whose_text_is_empty_once_filtered_are_left_out():
    rows = [{"text": "a "}, {"text": ""}, {"text": " \n"}, {"text": "b"}]
    assert list(filled(rows, text="text")) == [{"text": "a "}, {"text": " \n"}, {"text": "b"}]
    assert list(filled(rows, text="text:clean")) == [{"text": "a "}, {"text": "b"}]


def test_rows_whose_number_has_decimals_are_left_out():
    scores = [1.0, 3.5, 2.3333332538604736, 5.0, 4, float("nan")]
    assert [row["score"] for row in whole([{"score": score} for score in scores], number="score")] == [1.0, 5.0, 4]
    with pytest.raises(ValueError, match="score is null"):
        list(whole([{"score": None}], number="score"))


def test_ratings_are_two_classes_and_those_between_the_bounds_are_left_out():
    rows = [{"content": name, "rating": rating} for name, rating in zip("abc", [0.0, 0.5, 1.0], strict=True)]
    assert list(binarised(rows, rating="rating", below=0.4, above=0.6)) == [
        {"content": "a", "rating": 0.0, "above": False},
        {"content": "c", "rating": 1.0, "above": True},
    ]
    assert "above" not in rows[0]


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_ratings_on_the_bounds_are_compared_as_32_bit_floats(precision):
    # 0.6 as a 32-bit float is 0.60000002384185791015625, 0.4 is 0.4000000059604644775390625: both above the bounds.
    rows = [{"rating": float(precision(rating))} for rating in (0.2, 0.4, 0.6, 0.8)]
    kept = [(round(row["rating"], 3), row["above"]) for row in binarised(rows, rating="rating", below=0.4, above=0.6)]
    assert kept == [(0.2, False), (0.6, True), (0.8, True)]


def test_a_rating_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match="rating is null"):
        list(binarised([{"rating": None}], rating="rating", below=0.4, above=0.6))
