"""A table as text."""

from mpt.data.catalogue.rows.tables import facts


def table(names, values):
    return {"input": {"table": {"names": names, "values": values}}}


def texts(*rows):
    return [row["facts"] for row in facts(rows, names="input[table][names]", values="input[table][values]")]


def test_each_line_ends_with_its_mark_and_a_space():
    assert texts(table(["name", "born"], ["vera holm", "1901"])) == ["name: vera holm [n] born: 1901 [n] "]


def test_values_lose_the_space_around_them_and_their_line_feeds():
    assert texts(table(["name "], [" vera\n\nholm \n"])) == ["name : vera  holm [n] "]


def test_an_empty_table_is_an_empty_text():
    assert texts(table([], [])) == [""]


def test_rows_with_more_names_than_values_or_fewer_are_left_out():
    assert texts(table(["a", "b"], ["1"]), table(["a"], ["1", "2"]), table(["a"], ["1"])) == ["a: 1 [n] "]


def test_the_row_is_not_changed():
    row = table(["a"], ["1"])
    assert list(facts([row], names="input[table][names]", values="input[table][values]")) == [
        {**row, "facts": "a: 1 [n] "}
    ]
    assert "facts" not in row
