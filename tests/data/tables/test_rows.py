"""Files as people have them: what is read, and the line that a complaint names."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mpt.data.tables.rows import lines, read_rows
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError

TEXTS = [
    ('she said "no", twice', "bad"),
    ("two\nlines, and a comma", "good"),
    ("tab\there", "bad"),
    (" spaces ", "good"),
    ("one sign ' and no more", "good"),
    ("naïve – 東京", "bad"),
    ("sep\u2028arated", "good"),
    ("windows\r\nlines", "bad"),
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pairs(path: Path, **options) -> list[tuple[str, str]]:
    return [(row.input, row.output) for row in read_rows(path, **options).rows]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("header", [["text", "label"], None])
def test_csv_comes_back_as_the_csv_module_wrote_it(tmp_path, bom, end, delimiter, header):
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=end, delimiter=delimiter)
        writer.writerows([*([header] if header else []), *TEXTS])
    path.write_bytes(bom + path.read_bytes())
    assert pairs(path) == TEXTS


def test_lines_are_those_of_an_editor_although_cells_hold_line_breaks(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"one\n\ntwo",x\nthree,y\n\n"fo""ur",x\n')
    assert [row.line for row in read_rows(path).rows] == [2, 5, 7]


def test_tsv_is_crossfits(tmp_path):
    path = write(tmp_path, "a.tsv", 'he said "no\tbad\ngood, really\tgood\tfine\r\n\n')
    table = read_rows(path)
    assert [row.example for row in table.rows] == [
        Example('he said "no', ("bad",)),
        Example("good, really", ("good", "fine")),
    ]
    assert "no header" in table.told[0]


def test_tsv_with_a_header_of_known_names(tmp_path):
    path = write(tmp_path, "a.tsv", "Label\tid\tSentence\nx\t1\tone\ny\t2\ttwo\n")
    assert pairs(path) == [("one", "x"), ("two", "y")]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_tsv_quoted_by_a_spreadsheet_comes_back(tmp_path, quoting):
    path = tmp_path / "a.tsv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\r\n", quoting=quoting).writerows(TEXTS)
    assert pairs(path) == TEXTS
    table = read_rows(path)
    assert "quoted" in table.told[0] and [row.line for row in table.rows] == [1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "rows",
    [
        [('"well"', "good"), ("poor", "bad")],  # a cell that needs no quotes
        [('"well, well"', "good"), ("poor, really", "bad")],  # another comma is not quoted
        [('"one" and "two"', "good"), ("three", "bad")],
        [('say "no"', "good"), ('"a, ""b"""', "bad")],  # a quote within a cell that is not in quotes
        [('"', "good"), ("a", "bad")],
    ],
)
def test_a_quote_of_crossfits_tsv_is_a_sign(tmp_path, rows):
    assert pairs(write(tmp_path, "a.tsv", lined(rows, "\t"))) == rows


def test_a_tsv_of_three_named_columns_is_not_read_by_their_place(tmp_path):
    path = write(tmp_path, "a.tsv", "number\tremark\tverdict\n1\tfine\tgood\n2\tpoor\tbad\n")
    expected = [("fine", "good"), ("poor", "bad")]
    assert pairs(path, input="remark", output="verdict") == expected
    assert pairs(write(tmp_path, "b.tsv", "ticket_id\tmessage\tkind\n7\tfine\tgood\n8\tpoor\tbad\n")) == expected
    assert pairs(write(tmp_path, "b.csv", "id,verdict,text\n7,good,fine\n8,bad,poor\n")) == expected
    golds = "what is the capital of that country ?\tparis\tthe city of paris\nand that ?\trome\troma\n"
    table = read_rows(write(tmp_path, "c.tsv", golds))
    assert [row.example.targets for row in table.rows] == [("paris", "the city of paris"), ("rome", "roma")]


IDS = "17\tthe room is fine\tgood\n18\ta poor place\tbad\n19\tfine\tgood\n"
IN_IDS = [("the room is fine", "good"), ("a poor place", "bad"), ("fine", "good")]


def test_a_tsv_that_begins_with_ids(tmp_path):
    table = read_rows(path := write(tmp_path, "a.tsv", IDS))
    assert [(row.input, row.output) for row in table.rows] == IN_IDS
    assert [row.example.targets for row in table.rows] == [("good",), ("bad",), ("good",)]
    assert "each row begins with an id: the input is column 2, the output column 3" in table.told[0]
    assert pairs(path, input="2") == pairs(path, output="3") == IN_IDS
    assert pairs(path, output="2") == [(label, text) for text, label in IN_IDS]
    read = read_rows(path, input="1")
    assert read.rows[0].example.targets == ("the room is fine", "good") and not read.told
    codes = IDS.replace("17", "ab-3f.2").replace("18", "T_18")
    assert pairs(write(tmp_path, "b.tsv", codes)) == IN_IDS


@pytest.mark.parametrize(
    "text",
    [
        IDS.replace("18", "17"),  # comes again
        IDS.replace("17", "3 + 4"),  # no code
        IDS.replace("17", "seventeen"),
        "1984\torwell\tgeorge orwell\n2001\tclarke\tarthur c. clarke\n",  # outputs of a word, and further ones
        "17\tone two\tthree\n18\tfour five\n",  # not each has a third
        "17\tone two\tthree\tfour\n18\tfour five\tsix\n",
    ],
)
def test_crossfits_further_outputs_are_no_texts_behind_ids(text, tmp_path):
    read = [(row.input, *row.example.targets) for row in read_rows(write(tmp_path, "a.tsv", text), header=False).rows]
    assert read == [tuple(line.split("\t")) for line in text.splitlines()]


def test_a_key_within_a_key(tmp_path):
    rows = [{"ticket": {"body": text, "kind": {"name": label}}, "a.b": "c"} for text, label in PROSE]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert pairs(path, input="ticket.body", output="ticket.kind.name") == PROSE
    assert pairs(path, input="ticket.body", output="a.b") == [(text, "c") for text, _ in PROSE]
    with pytest.raises(UserError, match=r"no key 'ticket.bdy' for --input; did you mean ticket.body"):
        read_rows(path, input="ticket.bdy", output="a.b")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1"])
def test_another_encoding_by_its_name(tmp_path, encoding):
    rows = [("né à Zürich", "bon"), ("ÆØÅ", "mauvais")]
    path = write(tmp_path, "a.csv", lined(rows, ",").encode(encoding))
    assert pairs(path, encoding=encoding) == rows
    with pytest.raises(UserError, match="--encoding"):
        read_rows(path)
    with pytest.raises(UserError, match=r"--encoding cp9: there is none of that name"):
        read_rows(path, encoding="cp9")
    with pytest.raises(UserError, match=r"a.csv is not ascii: .*name another --encoding"):
        read_rows(path, encoding="ascii")


@pytest.mark.parametrize(
    ("encoding", "wrong"),
    [
        ("utf-8", b"a\0b"),
        ("cp1252", b"a\0b"),
        ("raw_unicode_escape", rb"a\ud800b"),
        ("unicode_escape", rb"a\udfffb"),
        ("utf-7", b"a+2AA-b"),
    ],
)
def test_what_no_text_holds_is_refused_whatever_the_encoding_makes_it_of(tmp_path, encoding, wrong):
    head = b"input,output\n" + b"".join(b"text %d,%d\n" % (at, at % 2) for at in range(40_000))  # of several blocks
    path = write(tmp_path, "a.csv", head + wrong + b",1\nlast,0\n")
    with pytest.raises(UserError, match=rf"a\.csv, line 40002 holds a null byte or half a sign.* as {encoding}"):
        read_rows(path, encoding=encoding)


def test_json_lines_of_texts_numbers_and_several_outputs(tmp_path):
    assert pairs(write(tmp_path, "emoji.jsonl", json.dumps({"text": "😀", "label": "x"}))) == [("😀", "x")]
    rows = [{"text": "a", "label": 1}, {"text": "b\nc", "label": ["x", "y"], "more": {}}, {"text": 3, "label": True}]
    path = write(tmp_path, "a.jsonl", "\ufeff" + "\r\n".join(json.dumps(row) for row in rows))
    assert [row.example.targets for row in read_rows(path).rows] == [("1",), ("x", "y"), ("true",)]
    assert pairs(write(tmp_path, "a.json", json.dumps(rows))) == [("a", "1"), ("b\nc", "x"), ("3", "true")]


def test_columns_by_name_and_by_number(tmp_path):
    path = write(tmp_path, "a.csv", "id,review text,stars\n1,fine,5\n2,poor,1\n")
    expected = [("fine", "5"), ("poor", "1")]
    assert pairs(path, input="review text", output="stars") == expected
    assert pairs(path, input="2", output="3", header=True) == expected
    assert len(pairs(path, input="2", output="3", header=False)) == 3


@pytest.mark.parametrize("end", ["", ",9"])
def test_columns_by_number_and_a_header_that_is_guessed(end, tmp_path):
    """Each name is of the column that is asked for, of however many there are."""
    lines = [(f"what is {i}", f"{i}", f"it is {i}") for i in range(6)]
    plain = write(tmp_path, "a.csv", "".join(f"{','.join(line)}{end}\n" for line in lines))
    assert pairs(plain, input="1", output="3") == [(first, last) for first, _, last in lines]
    named = write(
        tmp_path, "b.csv", "".join(f"{last},{first}\n" for first, _, last in [("body", "", "summary"), *lines])
    )
    expected = [(first, last) for first, _, last in lines]
    for asked in ({"input": "2", "output": "1"}, {"output": "1"}, {"input": "2"}):
        assert pairs(named, **asked) == expected
    turned = write(tmp_path, "c.tsv", "".join(f"{last}\t{first}\n" for first, last in expected))
    assert [row.example.targets for row in read_rows(turned, input="2").rows] == [(last,) for _, last in expected]
    with pytest.raises(UserError, match="has no column '\u00b2'"):
        read_rows(named, input="\u00b2", output="1")


@pytest.mark.parametrize("head", ["question,response", "text;score"])
def test_one_known_name_over_two_columns_is_a_header(head, tmp_path):
    sign = "," if "," in head else ";"
    lines = "".join(f"what is {i}{sign}it is {i} here\n" for i in range(12))
    table = read_rows(write(tmp_path, "a.csv", f"{head}\n{lines}"))
    assert len(table.rows) == 12 and "if it is an example, say --no-header" in table.told[0]
    assert table.input == head.split(sign)[0]
    # A word that columns are called by may be a text: the one for inputs stands first, the one for outputs last.
    assert len(read_rows(write(tmp_path, "c.tsv", "target\tgoal\nhuge\tbig\nsmall\tlittle\n")).rows) == 3
    assert len(read_rows(write(tmp_path, "b.tsv", "question\tresponse\nquestion\tother\n")).rows) == 2


def test_two_columns_of_the_name_that_is_taken_are_refused(tmp_path):
    path = write(tmp_path, "a.csv", "text,label,Label\n" + "a,b,c\nd,e,f\n")
    with pytest.raises(UserError, match="has two columns 'label'; give --output the number of one"):
        read_rows(path)


def test_a_header_of_unknown_names_is_told_by_its_output_that_no_line_has(tmp_path):
    body = "".join(f"text {i},{'yes' if i % 2 else 'no'}\n" for i in range(8))
    table = read_rows(write(tmp_path, "a.csv", "what,verdict\n" + body))
    assert len(table.rows) == 8 and "--no-header" in table.told[0]
    assert len(read_rows(tmp_path / "a.csv", header=False).rows) == 9
    assert len(read_rows(write(tmp_path, "b.csv", body)).rows) == 8


def test_what_is_empty_is_left_out_and_told(tmp_path):
    table = read_rows(write(tmp_path, "a.csv", "text,label\na,x\nb, \n ,y\nc,\n"))
    assert [(row.input, row.line) for row in table.rows] == [("a", 2)]
    assert [word for word in table.told if "left out" in word] == [
        "left out, because the output is empty: lines 3 and 5",
        "left out, because the input is empty: line 4",
    ]


PROSE = [("a room, really", "good"), ("a place, no more", "bad"), ("one, two, three", "bad"), ("none", "good")]


def lined(rows, delimiter: str, end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", lined(PROSE, ";"), PROSE),
        ("a.csv", lined(PROSE[:2], ";"), PROSE[:2]),
        ("a.csv", lined(PROSE[:2], "\t"), PROSE[:2]),
        ("a.csv", lined([("warm; bright", "good"), ("cold; dark", "bad")], ","), None),
        ("a.csv", lined([("warm", "4,5"), ("cold", "2,5")], ";"), [("warm", "4,5"), ("cold", "2,5")]),
        ("a.csv", lined([("a,b", "x"), ("a,c", "y"), ("b,d", "x")], ";"), [("a,b", "x"), ("a,c", "y"), ("b,d", "x")]),
        ("a.csv", lined([("a,no", "x"), ("b,yes", "y")], ";"), [("a,no", "x"), ("b,yes", "y")]),
        ("a.csv", lined([("a;no", "x"), ("b;yes", "y")], ","), [("a;no", "x"), ("b;yes", "y")]),
        ("a.csv", "sep=;\ntext;label\n" + lined(PROSE, ";"), PROSE),
        ("a.csv", '\ufeff"SEP=|"\r\ntext|label\r\n' + lined(PROSE, "|", "\r\n"), PROSE),
        ("a.csv", "sep=\t\r\n" + lined(PROSE, "\t", "\r\n"), PROSE),
        ("a.csv", 'text, label\n"a ""b"", c", "good"\n"d", "very, bad"\n', [('a "b", c', "good"), ("d", "very, bad")]),
        ("a.csv", lined(PROSE, ";", "\r"), PROSE),
        ("a.tsv", lined(PROSE, "\t", "\r"), PROSE),
        ("a.tsv", "\ufeff" + lined(PROSE, "\t", "\r\n"), PROSE),
        ("a.jsonl", '{"text": "a", "label": "x"}\r{"text": "b", "label": "y"}\r', [("a", "x"), ("b", "y")]),
    ],
)
def test_what_other_programs_write(tmp_path, name, content, expected):
    found = pairs(write(tmp_path, name, content))
    assert found == (expected or [tuple(line.split(",")) for line in content.splitlines()])


def test_a_complaint_counts_a_line_of_the_separator(tmp_path):
    with pytest.raises(UserError, match="line 3 has 1 column"):
        read_rows(write(tmp_path, "a.csv", "sep=;\ntext;label\na\nb;x\n"))


def test_not_a_number_is_missing(tmp_path):
    rows = '{"text": "a", "label": NaN}\n{"text": "b", "label": ["x", NaN]}\n{"text": NaN, "label": "x"}\n'
    table = read_rows(write(tmp_path, "a.jsonl", rows))
    assert [row.example for row in table.rows] == [Example("b", ("x",))]
    assert table.told[1:] == [
        "left out, because the output is empty: line 1",
        "left out, because the input is empty: line 3",
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", 'text,label\na,x\n"b,y\nc,x\n', "line 3 cannot be read"),
        ("a.csv", 'text,label\n"a" b,x\n', "line 2 cannot be read"),
        ("a.csv", "text,label\na,x\nb, and c,y\n", "line 3 has 3 columns"),
        ("a.csv", "text,label\na,x\nb\n", "line 3 has 1 column,"),
        ("a.csv", "one,two,three\na,b,c\n", "'one', 'two', 'three'; say by --input and --output"),
        ("a.csv", "", "is empty"),
        ("a.csv", "text,label\n", "a header alone"),
        ("a.csv", "text,label\na,\n", "no record with both"),
        ("a.tsv", "one\nb\tx\n", "line 1 has one column"),
        ("a.csv", "sep=;\na,x\nb,y\n", "line 2 has one column"),
        (
            "a.tsv",
            "number\tremark\tverdict\n1\tfine\tgood\n2\tpoor\tbad\n",
            "say by --input and --output which to take",
        ),
        ("a.tsv", "a b\tc\td\n1\tfine\tgood\n", "an example, say --no-header"),
        (
            "a.jsonl",
            '{"t": {"body": "a", "n": {"k": 1}}, "label": "x"}\n',
            "the keys 't.body', 't.n.k', 'label'; say by --input",
        ),
        ("a.tsv", "a\tx\nb\n", "line 2 has 1 column,"),
        ("a.tsv", b"a\tx\nb\xff\ty\n", "line 2 is not UTF-8"),
        ("a.csv", "text,label\n".encode("utf-16"), "UTF-16"),
        ("a.csv", "text,label\n".encode("utf-32"), "UTF-32"),
        ("a.tsv", "a\tx\n".encode("utf-16-le"), "line 1 holds a null byte, as in UTF-16"),
        ("a.jsonl", '{"text": "a", "label": -Infinity}', "line 1 is not JSON: -Infinity is no number of JSON"),
        ("a.csv", 'sep=;\na;x\n"b";y\n"c" d;x\n', "a quoted cell ends before a semicolon"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', "line 2 is not JSON"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n["b"]\n', "line 2 is no JSON object"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', "line 2 has no key 'label'"),
        ("a.jsonl", '{"body": "a", "label": "x"}\n', "'body', 'label'; say by --input"),
        ("a.jsonl", '{"text": {}, "label": "x"}\n', "line 1: text must be a text"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b \\ud83d", "label": "x"}\n', r"line 2: text holds \ud83d"),
        ("a.jsonl", '{"text": "a", "label": ["x", "\\ude00"]}\n', r"line 1: label holds \ude00"),
        ("a.json", "[" * 200_000, "no JSON list: it is nested too deeply"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n' + '{"a":' * 200_000, "line 2 is not JSON: it is nested too deeply"),
        ("a.xlsx", "", ".csv, .tsv or .jsonl"),
    ],
)
def test_a_complaint_names_file_and_line(tmp_path, name, content, said):
    path = write(tmp_path, name, content)
    with pytest.raises(UserError) as told:
        read_rows(path)
    assert said in str(told.value) and str(path) in str(told.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input": "txt"}, "no column 'txt'"),
        ({"input": "9", "output": "label"}, "no column '9'"),
        ({"input": "text", "output": "text"}, "same column"),
    ],
)
def test_a_column_that_is_not_there(tmp_path, options, said):
    with pytest.raises(UserError, match=said):
        read_rows(write(tmp_path, "a.csv", "text,label\na,x\n"), **options)
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(tmp_path / "gone.csv")


def test_line_numbers_in_a_sentence():
    assert lines([3]) == "line 3"
    assert lines([3, 4]) == "lines 3 and 4"
    assert lines([1, 2, 3, 4, 5]) == "lines 1, 2, 3, 4 and 5"
    assert lines([1, 2, 3, 4, 5, 8, 9]) == "lines 1, 2, 3, 4, 5 and 2 more"


def test_numbers_are_places_though_the_first_record_holds_them(tmp_path):
    rows = [(f"{number % 2 + 1}", f"text number {number}") for number in range(8)]
    path = write(tmp_path, "a.csv", "".join(f"{label},{text}\n" for label, text in rows))
    assert pairs(path, input="2", output="1") == [(text, label) for label, text in rows]
    path = write(tmp_path, "b.csv", "".join(f"{text},{label}\n" for label, text in rows))
    assert pairs(path, input="1", output="2") == [(text, label) for label, text in rows]
