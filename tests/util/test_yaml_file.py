"""Strict YAML: what it reads as other readers do, and what it refuses by line and key."""

import pytest
import yaml

from mpt.util.errors import UserError
from mpt.util.reading import read_text
from mpt.util.yaml_file import first_comment, parse_yaml, read_yaml


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "a: 1\nb: [x, 'y', \"z\\n\", 0x10, 1.5, .inf, ~, null, true, no, '', ]\n",
        "- - - deep\n- {a: {b: c}, 1: one, true2: x}\n- |\n  lines\n  of text\n- >-\n  folded\n  text\n",
        "a: &x [1, 2]\nb: *x\nc: &y t\n? *y\n: 3\n",
        "\ufeffa: é\n",
        "text",
        "---\na: 1\n...\n",
    ],
)
def test_it_reads_what_other_readers_do(text):
    assert parse_yaml(text, "The file") == yaml.safe_load(text)


def test_dates_are_texts():
    assert parse_yaml("[2020-01-01, 2020-13-45, 2001-12-14 21:59:43.10 -5, =]", "The file") == [
        "2020-01-01", "2020-13-45", "2001-12-14 21:59:43.10 -5", "=",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", ", line 3: the key a stands in line 1 already; keep one of them"),
        ("a:\n  b: 2\n  c: {d: 1, e: 2, d: 3}\n", ", line 3: the key a.c.d stands in line 3 already"),
        ("- x: 1\n  x: 1\n", ", line 2: the key x stands in line 1 already"),
        ("1: a\ntrue: b\n", ", line 2: the key true stands in line 1 already"),
        ("~: a\nb: c\nnull: d\n", ", line 3: the key null stands in line 1 already"),
        ("a: !!binary abc\n", ", line 1: a: the tag !!binary must not be there; put a text in quotes"),
        ("a:\n  b: !!set {x, y}\n", ", line 2: a.b: the tag !!set must not be there"),
        ("a: !!timestamp 2020-02-31", ": a: the tag !!timestamp"),
        ("a: !!bool maybe", ": a: the tag !!bool"),
        ("a: !!python/object:os.system x", ": a: the tag !!python/object:os.system"),
        ("!mine a", ", line 1: the tag !mine"),
        ("a: {<<: {b: 1}}", ", line 1: a: the key << must not be there"),
        ("[a]: 1\n", ", line 1: a key must be a text, not a list or a mapping"),
        ("x:\n  ? {a: b}\n  : 1\n", ", line 2: x: a key must be a text"),
        ("a: *x\n", ", line 1: a: *x stands for nothing: no &x ends before it"),
        ("a: &x [*x]\n", ", line 1: a: *x stands for nothing"),
        ("seeds: [013]\n", ", line 1: seeds: '013' would be 11; write that number, or put a text in quotes"),
        ("a: 012345670\n", ", line 1: a: '012345670' would be 2739128; write that number"),
        ("a: 0__17\n", ", line 1: a: '0__17' would be 15; write that number"),
        ("{012: a}\n", ", line 1: '012' would be 10; write that number"),
        ("a: 1:30.5\n", ", line 1: a: '1:30.5' would be 90.5; write that number"),
        ("a: 0x_\n", ", line 1: a: '0x_' is no number; put it in quotes if it is a text"),
        pytest.param("a: " + "9" * 5000, "is no number; put it in quotes", id="5000 digits"),
        ("a: 1\n---\nb: 2\n", ", line 2: a second document begins here, and a file holds one"),
        pytest.param("[" * 3000, ", line 1: lists and mappings lie in each other more than 50 deep", id="3000 ["),
        pytest.param("[" * 100_000, "more than 50 deep", id="100000 ["),
        pytest.param("{a: " * 3000, "more than 50 deep", id="3000 {"),
        pytest.param("- " * 3000 + "a", "more than 50 deep", id="3000 -"),
        pytest.param("? " * 3000 + "a", "more than 50 deep", id="3000 ?"),
        ("a: [1\nb: 2\n", ", line 2 is not YAML: did not find"),
        ("a: 'x\n", " is not YAML: found unexpected end of stream"),
        ("\ta: 1\n", ", line 1 is not YAML: found character that cannot start any token"),
        ("a: \0\n", " is not YAML: it holds the character U+0000"),
        ("@", ", line 1 is not YAML"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_key(text, complaint):
    with pytest.raises(UserError) as raised:
        parse_yaml(text, "The file a.yaml")
    told = str(raised.value)
    assert told.startswith("The file a.yaml") and complaint in told and "\n" not in told and told.endswith(".")


def test_powers_of_ten_are_numbers_unless_they_must_be_as_in_yaml_1_1():
    text = "[1e-5, 2E3, .5e1, -1.e2, 1e, e5, 1.0e-5, '1e5']"
    assert parse_yaml(text, "The file") == [1e-5, 2000.0, 5.0, -100.0, "1e", "e5", 1e-5, "1e5"]
    assert read_yaml(text, "The file", powers=False)[0] == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: &z {c: 1}, a: 0}\nw: {<<: *z}\n",
        "x: [&x {a: 1}, &y {a: 2, b: 2}]\ny: {<<: [*x, *y], c: 1}\n",
    ],
)
def test_merges_are_those_of_other_readers_where_they_are_allowed(text):
    assert read_yaml(text, "The file", merges=True)[0] == yaml.safe_load(text)


def test_a_merge_is_of_mappings():
    with pytest.raises(UserError, match=r"The file, line 2: a: << takes over the keys of a mapping"):
        read_yaml("a:\n  <<: 3\n", "The file", merges=True)


def test_the_lines_of_keys():
    _, lines = read_yaml("a: 1\nb:\n  - c: 1\n  - c: 2\n    d:\n      3: x\n", "The file")
    assert lines == {("a",): 1, ("b",): 2, ("b", 0, "c"): 3, ("b", 1, "c"): 4, ("b", 1, "d"): 5, ("b", 1, "d", 3): 6}


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin").write_bytes(b"a: \xe9\n")
    for path, complaint in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "it is a folder"),
        (tmp_path / "latin", "it is not UTF-8"),
        (tmp_path / "a\0b", "that cannot be a file's name"),
    ):
        with pytest.raises(UserError, match=rf"Cannot read the odd file .*: {complaint}"):
            read_text(path, "odd file")


def test_what_a_file_begins_with_goes_on_after_a_comma():
    assert first_comment("# one,\n# two,\n#  three\n# four\na: 1\n") == "one, two, three"
    assert first_comment("# one\n# two\n") == "one" and first_comment("# one,\na: 1 # two\n") == "one,"
    assert first_comment("a: 1\n# one\n") == first_comment("") == ""
