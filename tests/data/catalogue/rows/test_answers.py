"""Answers gathered from lists of items, and placeholders filled in."""

import pytest

from mpt.data.catalogue.rows.answers import gathered, masked


def claim(*answers):
    """A row of the form of the KILT tasks."""
    return {"id": "1", "input": "q", "output": [{"answer": answer, "meta": {"score": 0}} for answer in answers]}


def test_one_text_of_each_item_is_gathered():
    row = claim("Oslo", "", "Bergen", "Oslo")
    (made,) = gathered([row], items="output", text="answer")
    assert made == {**row, "gathered": ["Oslo", "", "Bergen", "Oslo"]}
    assert "gathered" not in row


def test_empty_texts_are_left_out_on_demand_but_no_row_is():
    made = gathered([claim("", "Oslo"), claim(""), claim()], items="output", text="answer", empty=False)
    assert [row["gathered"] for row in made] == [["Oslo"], [], []]


def test_texts_in_lists_of_lists_are_gathered_in_their_order():
    answers = [{"AnswersMid": ["m.1", "m.2"], "AnswersName": [["b", "a"], []]}, {"AnswersName": [["a"]]}]
    (made,) = gathered([{"Parses": {"Answers": answers}}], items="Parses[Answers]", text="AnswersName")
    assert made["gathered"] == ["b", "a", "a"]


@pytest.mark.parametrize("answer", [None, [["a"], None]])
def test_a_missing_text_is_an_error(answer):
    with pytest.raises(ValueError, match="an answer is null"):
        list(gathered([claim(answer)], items="output", text="answer"))
    with pytest.raises(KeyError, match="label"):
        list(gathered([claim("a")], items="output", text="label"))


def test_placeholders_are_filled_with_columns_and_words():
    row = {"template": "[X] lies in [Y], as [X] must .", "sub_label": "Oslo"}
    (made,) = masked([row], text="template", places={"[X]": "{sub_label}", "[Y]": "[MASK]"})
    assert made == {**row, "masked": "Oslo lies in [MASK], as Oslo must ."}
    assert "masked" not in row


def test_a_text_without_placeholders_stays():
    rows = [{"sentence": "Ants have <mask> or <mask> legs."}, {"sentence": ""}]
    made = masked(rows, text="sentence", places={"<mask>": "[MASK]"})
    assert [row["masked"] for row in made] == ["Ants have [MASK] or [MASK] legs.", ""]


def test_a_column_for_a_placeholder_must_be_there():
    with pytest.raises(KeyError, match="sub_label"):
        list(masked([{"template": "[X] ran ."}], text="template", places={"[X]": "{sub_label}"}))
