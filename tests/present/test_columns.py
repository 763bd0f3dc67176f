"""Tables as plain text."""

from mpt.present.columns import columns


def test_columns_are_aligned_and_numbers_to_the_right():
    assert columns(["task", "k", "note"], [["anli", 16, "b"], ["samsum", 8, ""]], ["k"]) == (
        "task     k  note\n"
        "anli    16  b\n"
        "samsum   8\n"
    )  # fmt: skip


def test_a_row_is_a_line_whatever_its_cells_hold():
    assert columns(["a"], [["two\nlines\tand  more"]]).splitlines() == ["a", "two lines and more"]


def test_no_rows():
    assert columns(["a", "b"], []) == "a  b\n"
