"""Rows of one thing as one row, or in order."""

import pytest

from mpt.data.catalogue.rows.grouping import merged, ordered


def test_groups_stand_where_their_first_row_stood_with_all_texts_in_order():
    rows = [
        {"set": 2, "words": ["row", "lake"], "target": "b"},
        {"set": 1, "words": ["cut"], "target": "c"},
        {"set": 2, "words": ["lake", "row"], "target": "a"},
        {"set": 2, "words": ["row", "lake"], "target": "b"},
    ]
    assert list(merged(rows, by=["set"], collect="target")) == [
        {"set": 2, "words": ["row", "lake"], "target": "b", "collected": ["b", "a", "b"]},
        {"set": 1, "words": ["cut"], "target": "c", "collected": ["c"]},
    ]
    assert "collected" not in rows[0]


def test_every_field_must_be_equal_and_is_compared_behind_its_filters():
    rows = [
        {"prompt": "home_comma_ at last", "mood": "joyful", "said": "a"},
        {"prompt": "home, at last", "mood": "joyful", "said": "b"},
        {"prompt": "home, at last", "mood": "sad", "said": "c"},
    ]
    found = list(merged(rows, by=["prompt:commas", "mood"], collect="said"))
    assert [row["collected"] for row in found] == [["a", "b"], ["c"]]


def test_texts_are_filtered_and_rows_with_a_certain_text_left_out():
    rows = [
        {"prompt": "p", "said": "bad hit:3_conv:4"},
        {"prompt": "q", "said": "yes_comma_\nI did"},
        {"prompt": "p", "said": "good"},
        {"prompt": "r", "said": "hit:1"},
    ]
    found = list(merged(rows, by=["prompt"], collect="said:commas|spaced", unless="hit:"))
    assert [(row["prompt"], row["collected"]) for row in found] == [("q", ["yes, I did"]), ("p", ["good"])]


def test_a_row_without_the_field_is_an_error():
    with pytest.raises(KeyError, match="set"):
        list(merged([{"target": "a"}], by=["set"], collect="target"))


def test_rows_in_the_order_of_a_text_keep_theirs_where_it_is_equal():
    rows = [{"id": name, "at": at} for at, name in enumerate(["high9.txt", "high10.txt", "high9.txt", "high1.txt"])]
    assert [row["at"] for row in ordered(rows, by="id")] == [3, 1, 0, 2]


def test_rows_in_a_stated_order():
    rows = [{"kind": kind, "at": at} for at, kind in enumerate("cabca")]
    assert [row["at"] for row in ordered(rows, by="kind", values=["b", "a", "c"])] == [2, 1, 4, 0, 3]
    with pytest.raises(ValueError, match="'c' is not in list"):
        ordered(rows, by="kind", values=["a", "b"])
