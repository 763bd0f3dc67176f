"""What a template may do to a value."""

import pytest

from mpt.data.catalogue.filters import LIST_FILTERS, TEXT_FILTERS


@pytest.mark.parametrize(
    ("name", "text", "filtered"),
    [
        ("clean", "  a\t b\r\n\nc\\nd ", "a b c d"),
        ("one_line", " a\n\nb\tc ", " a  b\tc "),
        ("spaced", "a\r\n\tb", "a   b"),
        ("spelled_breaks", "a\\nb\nc", "a b\nc"),
        ("marked_lines", "a\nb", "a [n] b"),
        ("unspaced", " The Red  Kettle\t", "TheRedKettle\t"),
        ("commas", "a_comma_ b, c comma d", "a, b, c comma d"),
        ("unquoted", "''tis 'so' it's said'", "tis 'so' it's said"),
        ("unquoted", " 'so' ", " 'so' "),
        ("strip", "\n a b \t", "a b"),
        ("lower", "É A", "é a"),
    ],
)
def test_of_a_text(name, text, filtered):
    assert TEXT_FILTERS[name](text) == filtered


@pytest.mark.parametrize(
    ("name", "values", "filtered"),
    [
        ("distinct", ["b", "a", "b", "c", "a"], ["b", "a", "c"]),
        ("ordered", ["b", "a", "C", "a"], ["C", "a", "a", "b"]),
        ("joined", ["row", "boat"], "row boat"),
        ("comma_joined", ["row", "boat"], "row, boat"),
        ("comma_joined", ["row"], "row"),
    ],
)
def test_of_a_list(name, values, filtered):
    given = list(values)
    assert LIST_FILTERS[name](values) == filtered
    assert values == given
