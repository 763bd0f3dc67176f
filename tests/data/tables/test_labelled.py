"""Labelled examples whose inputs are made of several columns: the same texts as of a file that is to be answered."""

from __future__ import annotations

import json

import pytest

from mpt.data.tables.labelled import labelled
from mpt.data.tables.texts import open_texts
from mpt.util.errors import UserError

MADE = "{title} : {text}"


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,title,text,age\n7,post,a cat,old\n8,note,"a dog, {young}",new\n9,,a hog, \n')
    return path


def test_inputs_are_the_texts_that_would_be_answered(csv):
    table = open_texts(csv, MADE)
    found = labelled(table)
    texts = {row.line: row.text for row in table.rows()}
    assert [(row.input, row.output) for row in found.rows] == [
        ("post : a cat", "old"),
        ("note : a dog, {young}", "new"),
    ]
    assert all(texts[row.line] == row.input for row in found.rows)
    assert found.told[-2:] == ["the output is age", "left out, because the output is empty: line 4"]
    assert [row.output for row in labelled(open_texts(csv, MADE), "id").rows] == ["7", "8", "9"]


def test_json_lines_may_have_several_outputs_and_keys_within_keys(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [{"t": {"a": "x", "b": "y"}, "label": ["one", "two"]}, {"t": {"a": "z", "b": ""}, "label": 3}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = labelled(open_texts(path, "{t.a} and {t.b}"))
    assert [(row.input, row.example.targets) for row in found.rows] == [("x and y", ("one", "two")), ("z and ", ("3",))]
    path.write_text(json.dumps(lines[0]) + '\n{"t": {"a": "x", "b": "y"}, "labl": 1}\n')
    with pytest.raises(UserError, match=r"a\.jsonl, line 2 has no key 'label'; did you mean labl\?"):
        labelled(open_texts(path, "{t.a} and {t.b}"))


@pytest.mark.parametrize(
    ("head", "output", "complaint"),
    [
        ("title,text,one,two", None, r"has 'title', 'text', 'one', 'two'; say by --output which the outputs are in"),
        ("title,text,one,two", "three", "has no column 'three' for --output"),
        ("id,title,text,label", None, "has no record with both an input and an output"),
    ],
)
def test_what_cannot_be_told_is_asked_for(tmp_path, head, output, complaint):
    path = tmp_path / "a.csv"
    path.write_text(f"{head}\nv,w,x,\nv,w,y,\n")
    with pytest.raises(UserError, match=complaint):
        labelled(open_texts(path, MADE), output)
    (tmp_path / "a.txt").write_text("a text\n")
    with pytest.raises(UserError, match="holds a text a line; of labelled examples each record"):
        labelled(open_texts(tmp_path / "a.txt"))
