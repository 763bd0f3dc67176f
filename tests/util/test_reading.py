"""Reading what anybody may have written."""

from __future__ import annotations

import io
import json
import os

import pytest

from mpt.util.errors import UserError
from mpt.util.reading import (
    DEEPEST,
    LONGEST_LINE,
    lines_of,
    open_file,
    parse_json,
    read_bytes,
    read_json,
    read_json_lines,
)
from mpt.util.yaml_file import parse_yaml


def test_what_is_a_file_is_read(tmp_path):
    content = {"a": [1, 2.5, "é", None, {"b": True}]}
    (tmp_path / "x.json").write_text(json.dumps(content))
    (tmp_path / "link").symlink_to("x.json")
    assert read_json(tmp_path / "link") == content
    with open_file(tmp_path / "x.json", 100) as file:
        assert json.load(file) == content


def test_no_more_than_is_sensible(tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    assert read_bytes(tmp_path / "x", 100) == bytes(100)
    with pytest.raises(OSError, match="no more than 0 MB are read"):
        read_bytes(tmp_path / "x", 99)
    if os.path.exists("/proc/self/maps"):  # which says that it is empty
        with pytest.raises(OSError, match="no more than 0 MB are read"):
            read_bytes(tmp_path / "../" / "/proc/self/maps", 99)


@pytest.mark.parametrize("open_with", ["[", '{"a": '])
def test_nesting_ends(open_with):
    close = "]" if open_with == "[" else "}"
    assert parse_json(open_with * DEEPEST + "1" + close * DEEPEST)
    for depth in (DEEPEST + 1, 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(open_with * depth + "1" + close * depth)


def test_numbers_have_so_many_digits():
    assert parse_json("9" * 30) == int("9" * 30)
    with pytest.raises(ValueError, match="is too large a number"):
        parse_json("9" * 31)


def test_a_line_ends():
    assert list(lines_of(io.BytesIO(b"a\nb"))) == [b"a\n", b"b"]
    with pytest.raises(OSError, match="line 2 is longer than 16 MB"):
        list(lines_of(io.StringIO("a\n" + "x" * LONGEST_LINE)))


def multiplied(times: int, levels: int) -> str:
    """A YAML text whose last key stands for ``times ** levels`` words."""
    lines = ["a0: &a0 word"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * times)}]" for i in range(1, levels + 1)]
    return "\n".join(lines)


def test_aliases_count_as_often_as_they_stand():
    found = parse_yaml(multiplied(10, 3), "The file")
    assert len(found["a3"]) == 10 and found["a3"][0][0] == ["word"] * 10
    with pytest.raises(UserError, match=r"The file, line 6: a5: the file holds more than 100,000 values"):
        parse_yaml(multiplied(10, 5), "The file")
    with pytest.raises(UserError, match=rf"more than {DEEPEST} deep"):
        parse_yaml(multiplied(1, DEEPEST + 1), "The file")
    assert parse_yaml(multiplied(1, DEEPEST - 2), "The file")


def test_lines_of_json(tmp_path):
    path = tmp_path / "x.jsonl"

    def number(row):
        if type(row) is not int:
            raise ValueError("it must be a number")
        return row

    for content, rows in (("", []), ("1\n", [1]), ("1\n2", [1, 2]), ("1\n2\n", [1, 2])):
        path.write_text(content)
        assert read_json_lines(path, "number", number) == rows
    for cut in ("3", "{", "é".encode()[:1].decode("latin-1")):
        path.write_bytes(b"1\n2\n" + cut.encode("latin-1"))
        assert read_json_lines(path, "number", number, cut_short=True) == [1, 2]
    for damage, told in (("a", "Expecting value"), ('"a"', "it must be a number"), ("", "Expecting value")):
        path.write_text(f"1\n{damage}\n2\n")
        with pytest.raises(UserError, match=rf"x\.jsonl, line 2 is no number: {told}.*; look$"):
            read_json_lines(path, "number", number, way_on="; look")
    path.write_bytes(b"1\n\xff\n")
    with pytest.raises(UserError, match="cannot be read: it is not UTF-8"):
        read_json_lines(path, "number", number)


def test_strict_json_can_be_written_as_json_again():
    text = '{"a": [NaN, 1.5, -3, "NaN"], "b": {"a": 1e3}}'
    assert parse_json(text, strict=True) == {"a": [None, 1.5, -3, "NaN"], "b": {"a": 1000.0}}
    for wrong, told in (
        ("[Infinity]", "^Infinity is no number of JSON$"),
        ("[-Infinity]", "^-Infinity is no number of JSON$"),
        ("[-1e400]", "^-1e400 is too large a number$"),
        (f"[{'9' * 400}.5]", "^9{30} is too large a number$"),
        ('[{"a": 1, "b": 2, "a": 1}]', "^the key 'a' stands there twice$"),
        ('{"\\u001b": {}, "\\u001b": 1}', r"^the key '\\x1b' stands there twice$"),
    ):
        assert parse_json(wrong)
        with pytest.raises(ValueError, match=told):
            parse_json(wrong, strict=True)
