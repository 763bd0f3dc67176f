"""Files of texts: which column they are in, every record kept, and files of any size read in parts."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc

import pytest

import mpt.data.tables.records as records
from mpt.data.tables.records import read_records, stream_records
from mpt.data.tables.texts import open_texts
from mpt.util.errors import UserError

EMOJI = "\N{PARTY POPPER}"


def texts(path, **options):
    return [row.text for row in open_texts(path, **options).rows()]


@pytest.mark.parametrize(
    ("name", "content", "kind", "column", "found"),
    [
        ("a.csv", "id,message,team\n7,hello,x\n8,bye,y\n", "csv", "message", ["hello", "bye"]),
        ("a.csv", 'ref;wording\n1;"a;b"\n2;"c\nd"\n', "csv", "wording", None),
        ("a.csv", "subject_line\nhello there\nbye\n", "csv", "subject_line", ["hello there", "bye"]),
        ("a.csv", "hello there\nbye now\n", "csv", "column 1", ["hello there", "bye now"]),
        ("a.tsv", 'he said "no"\tbad\nfine\tgood\n', "tsv", None, None),
        ("a.tsv", 'id\ttext\n1\t"one\ttab"\n2\tplain\n', "tsv", "text", ["one\ttab", "plain"]),
        ("a.txt", f"one, two\n\n{EMOJI} three\r\n", "text", "text", ["one, two", "", f"{EMOJI} three"]),
        ("a.jsonl", '{"n": 3, "body": "x", "label": "y"}\n{"body": null}\n', "json", "body", ["x", ""]),
        ("a.json", '[{"question": "why"}, {"question": "how"}]', "json", "question", ["why", "how"]),
    ],
)
def test_the_column_that_is_answered(tmp_path, name, content, kind, column, found):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    if found is None:
        with pytest.raises(UserError, match="say by --input which the texts are in"):
            open_texts(path)
        return
    table = open_texts(path)
    assert (table.kind, table.input.columns) == (kind, (column,))
    assert [row.text for row in table.rows()] == found


def test_the_column_may_be_named_numbered_a_path_or_the_usual_one(tmp_path):
    table, nested = tmp_path / "t.csv", tmp_path / "n.jsonl"
    table.write_text("a,b\none,two\nthree,four\n")
    nested.write_text('{"ticket": {"body": "x y"}, "z": "w"}\n')
    assert texts(table, input="b") == texts(table, input="2") == texts(table, usual="b") == ["two", "four"]
    assert texts(table, input="1", header=False) == ["a", "one", "three"]
    assert texts(nested, input="ticket.body") == ["x y"]
    with pytest.raises(UserError, match=r"no column 'c' for --input; it has 'a', 'b'"):
        open_texts(table, input="c", header=True)
    with pytest.raises(UserError, match=r"no key 'ticket.bod' for --input; did you mean ticket.body"):
        open_texts(nested, input="ticket.bod")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_texts_may_be_made_of_several_columns(tmp_path, name):
    path = tmp_path / name
    path.write_text("s,body,n\nhi,there,1\n" if name == "t.csv" else '{"s": "hi", "body": "there", "n": 1}\n')
    assert texts(path, input="{s}: {body} {{{n}}}") == ["hi: there {1}"]
    assert texts(path, usual="{s} -> {body}") == ["hi -> there"] and texts(path, usual="body") == ["there"]
    with pytest.raises(UserError, match=r"'gone' for --input"):
        texts(path, input="{s} {gone}")
    with pytest.raises(UserError, match=r"--input has a brace without its twin"):
        texts(path, input="{s")
    with pytest.raises(UserError, match=r"template in the prompt's mpt\.json has a brace without its twin"):
        texts(path, usual="{s")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("text,id\nx,1\na, b,2\n", "line 3 has 3 columns, the first line 2; a text with a comma must be in quotes"),
        ("text;id\nx;1\na; b;2\n", "line 3 has 3 columns, the first line 2; a text with a semicolon must be in quotes"),
        ('text,id\nx,1\n"y,2\n', "line 3 cannot be read: its quoting is broken"),
        ("text,id\n", "a header alone"),
        ("text,text\na,b\n", "has two columns 'text'; give --input the number of one"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_by_its_line(tmp_path, content, complaint):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=complaint):
        texts(path)


@pytest.mark.parametrize("block", [64, 100, 1000])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_a_file_in_parts_is_the_file_at_once(tmp_path, monkeypatch, name, block):
    path = tmp_path / name
    rows = [[str(number), f'text "{number}",\n{EMOJI} more' if number % 3 else "plain"] for number in range(60)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        if name == "t.jsonl":
            file.writelines(json.dumps({"id": one, "text": text}, ensure_ascii=False) + "\r\n" for one, text in rows)
        else:
            writer = csv.writer(file, delimiter="," if name == "t.csv" else "\t")
            writer.writerows([["id", "text"], *rows])
    at_once = read_records(path)
    monkeypatch.setattr(records, "_BLOCK", block)
    sample, parts = stream_records(path)
    assert list(parts) == at_once.rows and sample.quoted == at_once.quoted
    assert [row.text for row in open_texts(path).rows()] == [text for _, text in rows]


def test_a_wrong_byte_is_told_by_its_line_in_any_part(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,text\n" + b"1,fine\n" * 50 + b"2,caf\xe9\n")
    monkeypatch.setattr(records, "_BLOCK", 32)
    with pytest.raises(UserError, match=r"line 52 is not UTF-8.*--encoding"):
        texts(path)
    assert texts(path, encoding="cp1252")[-1] == "café"


def test_a_large_file_is_never_in_memory(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{number},{'word ' * 20}\n" for number in range(100_000))
    tracemalloc.start()
    count = sum(1 for _ in open_texts(path).rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000 and path.stat().st_size > 10e6 and peak < 8e6


def test_what_is_no_file_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"pipe\.csv: it cannot be read: it is a pipe or a device, not a file$"):
        open_texts(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="it cannot be read: it is a folder, not a file"):
        open_texts(tmp_path / "folder.csv")


LIKE_PLACES = [f"{number % 2 + 1},text number {number},x" for number in range(8)]


def test_a_number_that_is_asked_for_is_a_place_and_makes_no_header(tmp_path):
    """The first record of such data sets has a label 1 or 2 in it."""
    path = tmp_path / "t.csv"
    path.write_text("\n".join(LIKE_PLACES) + "\n")
    wanted = [f"text number {number}" for number in range(8)]
    assert texts(path, input="2") == texts(path, input="{2}") == wanted
    names = tmp_path / "n.csv"
    names.write_text("0,1\na b,c d\n")  # of a frame without names; 0 is no place
    assert texts(names, input="0") == ["a b"]
    assert texts(path, input="2", header=True) == wanted[1:]


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("a man mends a net\tno\na dog sleeps\tno\na cat sings\tyes\n", 3),
        ("what is an answer\tanswer\nwhat is a question\tquestion\nwho is that\tanswer\n", 3),
        ("text\tlabel\na dog sleeps\tno\na cat sings\tyes\n", 2),
        ("\ttext\n0\ta dog sleeps\n1\ta cat sings\n", 2),  # a frame's index has no name
    ],
)
def test_a_word_that_could_name_a_column_makes_no_header_where_it_comes_again(content, count, tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text(content)
    assert len(texts(path, input="1" if "\tno" in content or "answer" in content else None)) == count


def test_a_first_line_that_is_taken_for_a_header_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,team\none two,x\nthree,y\n")
    assert open_texts(path, input="1").told == [
        "the first line is taken for a header (text, team); if it is a text, say --no-header"
    ]


def test_records_of_empty_cells_keep_their_places(tmp_path):
    """As a spreadsheet or a frame writes a text that is missing."""
    path, tabs = tmp_path / "t.csv", tmp_path / "t.tsv"
    path.write_text('text\none two\n""\nthree\n\n')
    assert texts(path) == ["one two", "", "three"]
    path.write_text("text,team\none two,x\n,\n,\nthree,y\n")
    tabs.write_text("\t\ntext\tteam\none two\tx\n\t\n\nthree\ty\n")
    assert texts(path) == ["one two", "", "", "three"] and texts(tabs) == ["one two", "", "three"]


@pytest.mark.parametrize("end", ["\t7\n", "\t7", ""])
@pytest.mark.parametrize("last", ['"he said ""hi"", twice"', '"a\ttab"', '"two\nlines"', 'an inch: 5"', '"open'])
def test_quotes_of_a_tsv_are_judged_by_the_whole_file(last, end, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_BLOCK", 200)
    path = tmp_path / "t.tsv"
    path.write_text("text\tn\n" + "".join(f"plain text {number}\t{number}\n" for number in range(300)) + last + end)
    read, (_, streamed) = read_records(path), stream_records(path)
    assert [one.cells for one in streamed] == [one.cells for one in read.rows]
    assert read.quoted == (last[0] == last[-1] == '"')


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_carriage_returns_are_read_alike_in_every_encoding(end, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_BLOCK", 50)
    inner = "" if end == "\r" else "\r"
    content = end.join(f"text {number}{inner} here\t{number}" for number in range(60))
    for suffix in ("tsv", "txt"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(content.replace("\t", " " if suffix == "txt" else "\t").encode())
        kwargs = {} if suffix == "txt" else {"input": "1"}
        assert texts(path, **kwargs) == texts(path, encoding="cp1252", **kwargs)
        assert len(texts(path, **kwargs)) == 60


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("text,label\ngood one,x\nText,y\n", ["text", "label"]),
        ("text,label\ngood one,x\ntext,label\nbad one,y\n", ["text", "label"]),
        ("id,text,How satisfied are you with the service that you received here today?\n1,a b,yes\n", None),
        ("0,1\na b,c d\ne f,g h\n", ["0", "1"]),
        (",0\n0,a b\n1,c d\n", ["", "0"]),
    ],
)
def test_a_header_is_seen(content, names, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(content)
    table = open_texts(path, input="1")
    assert table.header and (names is None or table.names == names)
    if names == ["0", "1"]:
        assert texts(path, input="1") == ["c d", "g h"]
