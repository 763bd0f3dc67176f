"""A user's own task: what its YAML file may say, what comes of its tables, and which mistakes are told, all at once."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mpt.data.tables.own_file import ColumnText
from mpt.data.tables.own_task import OwnTask, read_own_task
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError

TICKETS = """file: tickets.csv
input: "ticket: {subject} {body} which team?"
output: team
labels: {billing: Billing, tech: "Technical problem"}
"""


def tickets(folder: Path, counts: dict[str, int], name: str = "tickets.csv", first: int = 0) -> Path:
    """A table; all rows are different."""
    path = folder / name
    rows = [
        (f"s{n} {label[0]}", f'b "{n}"', label) for label, count in counts.items() for n in range(first, first + count)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "subject", "body", "team"), *((n, *row) for n, row in enumerate(rows))])
    return path


def own(folder: Path, text: str = TICKETS, name: str = "tickets.yaml") -> OwnTask:
    (folder / name).write_text(text, encoding="utf-8")
    return read_own_task(folder / name)


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as told:
        own(folder, text)
    return str(told.value)


def test_a_template_over_columns_and_words_for_values(tmp_path):
    tickets(tmp_path, {"billing": 10, "tech": 20})
    found = own(tmp_path)
    task = found.task
    assert (task.name, task.type, task.metric, task.by_label) == ("tickets", "classification", "ACC", True)
    assert task.labels == ("Billing", "Technical problem")
    rows = [*found.rows("train"), *found.rows("test")]
    assert {row.line: row.example for row in rows}[2] == Example('ticket: s0 b b "0" which team?', ("Billing",))
    assert Counter(row.output for row in found.rows("test")) == {"Billing": 2, "Technical problem": 4}  # a fifth
    assert not {row.input for row in found.rows("train")} & {row.input for row in found.rows("test")}
    assert found.rows("dev") == [] and len(rows) == 30
    other = own(tmp_path, f"{TICKETS}test_share: 0.5\nsplit_seed: 7\nmetric: Classification-F1\n")
    assert len(other.rows("test")) == 15 and other.task.metric == "Classification-F1"


def test_a_draw_is_crossfits(tmp_path):
    """By its own two lines: shuffle the list by numpy's legacy generator, take the first k of each label, then k."""
    tickets(tmp_path, {"billing": 15, "tech": 20})
    found = own(tmp_path)
    pool = [row.example for row in found.rows("train")]
    order = list(pool)
    np.random.RandomState(21).shuffle(order)
    by_label = [[one for one in order if one.targets == (label,)] for label in ("Billing", "Technical problem")]
    draw = found.draw(21, 4)
    assert Counter(draw.train) == Counter(one for group in by_label for one in group[:4]) and draw.k == 4
    assert Counter(draw.dev) == Counter(one for group in by_label for one in group[4:8])
    assert found.draw(21, 4) == draw and found.draw(13, 4).train != draw.train
    assert draw.test == found.draw(13, 2).test == [row.example for row in found.rows("test")]
    whole = found.draw(21, "all")
    assert whole.train == order[:-5] and whole.dev == order[-5:]  # the last fifth of 28
    with pytest.raises(UserError, match=r"k = 16 takes all 28 examples of tickets.csv .* a k of at most 8, or all"):
        found.draw(13)
    assert (
        found.tell_draw(8)[-1]
        == "k = 8 takes 16 examples of each label, half of them for dev; there are fewer of 'Billing' (12)"
    )
    assert found.tell_draw(6) == list(found.told)
    with pytest.raises(UserError, match=r"--data.k must be at least 1, not 0"):
        found.draw(13, 0)


def test_files_of_their_own(tmp_path):
    tickets(tmp_path, {"billing": 8, "tech": 8})
    tickets(tmp_path, {"billing": 3, "tech": 3}, "dev.csv", first=5)
    tickets(tmp_path, {"billing": 2, "tech": 1}, "test.csv", first=50)
    (tmp_path / "below").mkdir()
    text = TICKETS.replace("file: tickets.csv", "train: ../tickets.csv\ndev: ../dev.csv\ntest: ../test.csv")
    found = own(tmp_path / "below", text)
    assert [len(found.rows(split)) for split in ("train", "dev", "test")] == [10, 6, 3]
    assert any("left out of training: lines 7, 8, 9, 15, 16 and 1 more" in sentence for sentence in found.told)
    draw = found.draw(13, 4)
    assert len(draw.train) == 8 and len(draw.dev) == 6 and len(draw.test) == 3
    assert sorted(found.draw(13, "all").train, key=str) == sorted((row.example for row in found.rows("train")), key=str)
    assert found.tell_draw(20)[-1].startswith("k = 20 takes 20 examples of each label; there are fewer of")


def test_objects_and_several_outputs(tmp_path):
    rows = [{"ticket": {"body": f"text {n}", "n": n}, "answers": [f"answer {n}", "other"]} for n in range(12)]
    rows[3]["ticket"] = {"n": 3}
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    found = own(tmp_path, 'file: a.jsonl\ninput: "{ticket.body} ({ticket.n})"\noutput: answers\n')
    assert found.task.labels == () and found.task.metric == "EM" and not found.task.by_label
    every = {row.line: row.example for split in ("train", "test") for row in found.rows(split)}
    assert every[1] == Example("text 0 (0)", ("answer 0", "other")) and every[4].input == " (3)"
    assert "a.jsonl: a part of the input is empty: line 4" in found.told
    assert len(found.draw(13, 4).train) == len(found.draw(13, 4).dev) == 4  # k counts all where there are no labels


def test_columns_by_number(tmp_path):
    (tmp_path / "a.tsv").write_text("".join(f"text {n}\t{n % 2}\n" for n in range(20)), encoding="utf-8")
    found = own(tmp_path, 'file: a.tsv\ninput: "{1} ?"\noutput: 2\n')
    assert found.task.labels == ("0", "1") and "text 0 ?" in {row.input for row in found.tables["train"].rows} | {
        row.input for row in found.tables["test"].rows
    }
    assert found.render({"1": "new"}) == "new ?"
    headed = own(tmp_path, "file: a.tsv\nheader: true\ninput: 1\noutput: 2\n")
    assert len(headed.rows("train")) + len(headed.rows("test")) == 19


def test_a_record_without_an_output_is_rendered(tmp_path):
    tickets(tmp_path, {"billing": 4, "tech": 4})
    found = own(tmp_path)
    assert found.render({"subject": "no light", "body": None, "more": [1]}) == "ticket: no light  which team?"
    with pytest.raises(UserError, match=r"a.csv, line 7 has no column 'subject', 'body', which .* it has 'text'"):
        found.render({"text": "a"}, Path("a.csv"), 7)


@pytest.mark.parametrize(
    ("text", "columns", "made"),
    [
        ("body", ("body",), "B"),
        ("my column: x!", ("my column: x!",), "C"),
        ("{body}{body}", ("body",), "BB"),
        ('{{"a": "{body}"}}', ("body",), '{"a": "B"}'),
        ("{{{body}}}", ("body",), "{B}"),
        ("a {my column: x!} b {body}", ("my column: x!", "body"), "a C b B"),
    ],
)
def test_templates(text, columns, made):
    found = ColumnText.of(text)
    assert found.columns == columns
    assert found.of_cells({"body": "B", "my column: x!": "C"}) == made
    assert found.of_cells({"body": " ", "my column: x!": ""}) == ""


def test_all_missing_keys_are_told_at_once(tmp_path):
    assert wrong(tmp_path, "metric: ACC\n").endswith("the keys file (or train), input and output are missing.")
    assert wrong(tmp_path, "file: a.csv\noutput: b\n").endswith("tickets.yaml: the key input is missing.")


def test_all_missing_columns_and_tables_are_told(tmp_path):
    tickets(tmp_path, {"billing": 4, "tech": 4})
    told = wrong(tmp_path, TICKETS.replace("{body}", "{text} {titel}").replace("output: team", "output: teams"))
    assert f"{tmp_path / 'tickets.csv'} has no columns 'text', 'titel', 'teams', which input and output in" in told
    assert "it has 'id', 'subject', 'body', 'team'" in told
    assert "names " + str(tmp_path / "none.csv") in wrong(tmp_path, TICKETS.replace("tickets.csv", "none.csv"))
    (tmp_path / "a.jsonl").write_text('{"a": "b", "c": {"d": "e"}}\n', encoding="utf-8")
    told = wrong(tmp_path, "file: a.jsonl\ninput: a\noutput: c.f\n")
    assert told.endswith("it has 'a', 'c.d', 'c'; did you mean c.d or c?") or "did you mean c.d" in told


def test_all_strange_labels_are_told_with_their_lines(tmp_path):
    tickets(tmp_path, {"billing": 4, "Tech": 2, "tech": 3, "sales": 1})
    told = wrong(tmp_path, TICKETS)
    assert told.startswith(
        f"{tmp_path / 'tickets.csv'}: 'Tech' (lines 6 and 7), 'sales' (line 11): not among the labels"
    )
    assert "did you mean tech?" in told
    tickets(tmp_path, {"billing": 4, "tech": 3})
    tickets(tmp_path, {"sales": 2}, "test.csv")
    text = TICKETS.replace("file: tickets.csv", "train: tickets.csv\ntest: test.csv")
    assert f"{tmp_path / 'test.csv'}: 'sales' (lines 2 and 3)" in wrong(tmp_path, text)
    undeclared = text.replace(text.splitlines()[-1], "")
    assert "the label 'sales' is not among the labels of tickets.csv" in wrong(tmp_path, undeclared)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("output:", "outputs: team\noutput:", "has the unknown key outputs; did you mean output?"),
        ("output:", "name: x\noutput:", "name is not given: a task is called by its file's name"),
        ("output:", "source: {hub: x}\noutput:", "source is of a task of the catalogue's form"),
        ("{body}", "{body", "line 2: input has a brace without its twin"),
        ("{body}", "{}", "line 2: input has {}, which names no column"),
        ("ticket: {subject} {body} which", "{{which}}", "line 2: input has no column"),
        ("{billing: Billing,", "{no: Billing,", "line 4: labels: the value false could be written in several ways"),
        ("{billing: Billing,", "{1: Billing, '1': B,", "labels names '1' twice"),
        ('"Technical problem"', "Billing", "labels must name two labels at least"),
        ('{billing: Billing, tech: "Technical problem"}', "[yes, no]", "must be a text, not true: put it in quotes"),
        ("output:", "free_text: true\noutput:", "labels and free_text contradict one another"),
        ("output:", "train: a.csv\noutput:", "give file or train, not both"),
        ("output:", "test_share: 1\noutput:", "line 3: test_share is a share above 0 and below 1, not 1"),
        ("file:", "train: tickets.csv\ntest: b.csv\ntest_share: 0.1\n#", "test_share says how test is split off"),
        ("output:", "metric: F1\noutput:", "line 3: metric is one of ACC"),
        ("output:", "encoding: none-such\noutput:", "encoding in tickets.yaml none-such: there is none"),
        ('"Technical problem"', "Billin\u200bg", "labels .* look alike"),
        ("{body}", "{team}", "input and output both take 'team', and the answer would be in the input"),
        ("file: tickets.csv", 'file: "a\\0b.csv"', r"names .*a\\x00b\.csv, which cannot be read: that cannot be"),
    ],
)  # fmt: skip
def test_mistakes_of_the_file(tmp_path, old, new, said):
    tickets(tmp_path, {"billing": 4, "tech": 4})
    text = TICKETS.replace(old, new, 1)
    assert text != TICKETS
    with pytest.raises(UserError, match=said):
        own(tmp_path, text)


def test_broken_lines_and_few_rows_are_told(tmp_path):
    path = tickets(tmp_path, {"billing": 4, "tech": 4})
    with path.open("a", encoding="utf-8") as file:
        file.write("9,only two\n10,a,b,c,tech\n11,s,,billing\n12,,,tech\n13,x,y,\n")
    assert f"{path}, lines 10 and 11: not the 4 columns of the first line" in wrong(tmp_path, TICKETS)
    text = path.read_text(encoding="utf-8").replace("9,only two\n10,a,b,c,tech\n", "")
    path.write_text(text + "14,x,y,billing\n15,x,y,billing\n", encoding="utf-8")
    told = own(tmp_path).told
    assert "tickets.csv: a part of the input is empty: line 10" in told
    assert "tickets.csv: left out, because the input is empty: line 11" in told
    assert "tickets.csv: left out, because the output is empty: line 12" in told
    assert "tickets.csv: the same record again, left out: line 14" in told
    tickets(tmp_path, {"billing": 2, "tech": 1})
    assert "has 3 different examples; at least 4 are needed" in wrong(tmp_path, TICKETS)


def test_the_digest_is_of_what_is_learned_and_not_of_how_it_is_written(tmp_path):
    tickets(tmp_path, {"billing": 10, "tech": 10})
    first = own(tmp_path)
    assert own(tmp_path, f"# a remark\n{TICKETS}").digest == first.digest
    for text in (f"{TICKETS}metric: EM\n", TICKETS.replace("which", "what"), f"{TICKETS}split_seed: 4\n"):
        assert own(tmp_path, text).digest != first.digest
    tickets(tmp_path, {"billing": 10, "tech": 11})
    assert own(tmp_path).digest != first.digest
    assert len(first.rows("train")) == 16  # what was read before stays as it was


def test_columns_by_number_where_the_labels_are_such_numbers(tmp_path):
    rows = [(f"premise {number}", f"hypothesis {number}", str(number % 2 + 1)) for number in range(20)]
    (tmp_path / "pairs.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    found = own(tmp_path, 'file: pairs.csv\ninput: "{1} / {2}"\noutput: 3\n', "pairs.yaml")
    read = {row.example for split in ("train", "test") for row in found.rows(split)}
    assert read == {Example(f"{one} / {two}", (label,)) for one, two, label in rows}
