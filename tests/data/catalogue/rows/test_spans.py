"""Spans by tag and by name."""

import pytest

from mpt.data.catalogue.rows.spans import named, tagged

KINDS = {"short": [1, 3], "long": [0, 2]}


def row(text, tags):
    return {"id": "TR-1", "tokens": text.split(), "labels": tags}


def spans(*rows):
    return [(found["short"], found["long"]) for found in tagged(rows, tokens="tokens", tags="labels", spans=KINDS)]


@pytest.mark.parametrize(
    ("text", "tags", "short", "long"),
    [
        ("the garden tool ( GT ) helps", [4, 0, 2, 4, 1, 4, 4], "GT", "garden tool"),
        ("G T is our garden tool", [1, 3, 4, 4, 0, 2], "G T", "garden tool"),
        ("garden tool G T", [0, 2, 1, 3], "G T", "garden tool"),
        ("garden , tool GT", [0, 4, 2, 1], "GT", "garden"),
    ],
)
def test_a_span_is_a_first_word_and_the_further_ones_right_behind_it(text, tags, short, long):
    assert spans(row(text, tags)) == [(short, long)]


@pytest.mark.parametrize("tags", [[4, 4, 4], [1, 4, 4], [4, 0, 2], [1, 1, 0], [1, 0, 0]])
def test_rows_without_exactly_one_span_of_each_kind_are_left_out(tags):
    assert spans(row("a b c", tags), row("GT garden tool", [1, 0, 2])) == [("GT", "garden tool")]


def test_the_row_keeps_its_columns_and_is_not_changed():
    given = row("GT garden", [1, 0])
    (found,) = tagged([given], tokens="tokens", tags="labels", spans=KINDS)
    assert found == {**given, "short": "GT", "long": "garden"}
    assert "short" not in given


def test_a_word_without_a_tag_is_an_error():
    with pytest.raises(ValueError, match="3 words, but 2 tags"):
        spans(row("GT garden tool", [1, 0]))


def test_named_spans_are_joined_where_the_row_says_that_it_has_some():
    rows = [
        {"motion": "yes", "entities": [{"entity": "a dog", "start": 0}, {"entity": "a kite", "start": 9}]},
        {"motion": "no", "entities": [{"entity": "a tree", "start": 0}]},
        {"motion": "yes", "entities": [{"entity": "a ship", "start": 4}]},
        {"motion": "yes", "entities": []},
    ]
    options = {"where": "motion", "equals": "yes", "spans": "entities", "text": "entity"}
    assert [found["named"] for found in named(rows, **options)] == ["a dog [SEP] a kite", "a ship", ""]
    assert "named" not in rows[0]


def test_a_span_without_text_is_an_error():
    rows = [{"motion": "yes", "entities": [{"start": 0}]}]
    with pytest.raises(KeyError):
        list(named(rows, where="motion", equals="yes", spans="entities", text="entity"))
