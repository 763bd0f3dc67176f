"""Text cleaned as a whole, a part of it, a heading cut off."""

import pytest

from mpt.data.catalogue.rows.text import cleaned, without_heading


def test_a_text_is_cleaned_as_a_whole():
    row = {"title": " Tea\tor\nmilk? ", "content": "", "answer": "Milk\\nis  white."}
    (made,) = cleaned([row], text="title: {title} [SEP] content: {content} [SEP] answer: {answer}")
    assert made == {**row, "cleaned": "title: Tea or milk? [SEP] content: [SEP] answer: Milk is white."}
    assert "cleaned" not in row


CITING = {"string": "Bread was baked before [12].", "start": 23, "end": 27}


@pytest.mark.parametrize(
    ("start", "end", "part"),
    [(23, 27, "[12]"), (23, 99, "[12]."), (-1, -1, ""), (90, 99, ""), (-1, 99, ".")],
)
def test_a_part_of_a_text_is_cut_as_a_slice(start, end, part):
    row = {**CITING, "start": start, "end": end}
    (made,) = cleaned([row], text="<{part}> {string}", part=["string", "start", "end"])
    assert made["cleaned"] == f"<{part}> Bread was baked before [12]."


def test_a_part_without_its_end_is_an_error():
    with pytest.raises(ValueError, match="end is null"):
        list(cleaned([{**CITING, "end": None}], text="{part}", part=["string", "start", "end"]))


def test_a_heading_is_cut_off_where_there_is_one():
    rows = [{"text": "Simple \nBread is old."}, {"text": "Simple bread.\nIt is old."}]
    made = list(without_heading(rows, text="text:one_line", heading="Simple  "))
    assert [row["body"] for row in made] == ["Bread is old.", "Simple bread. It is old."]
    assert [row["text"] for row in made] == [row["text"] for row in rows]
