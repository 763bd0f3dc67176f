"""What is made of the files of a new task, and which of their faults are told."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from mpt.adapt.examples import MOST_DEV, ExampleFiles, read_examples
from mpt.data.tables.own_task import read_own_task
from mpt.util.errors import UserError


def write(folder: Path, name: str, rows: list[tuple[str, str]]) -> Path:
    path = folder / name
    path.write_text("".join(f"{source}\t{output}\n" for source, output in rows), encoding="utf-8")
    return path


def labelled(counts: dict[str, int], word: str = "text") -> list[tuple[str, str]]:
    return [(f"{word} {label}{i}", label) for label, count in counts.items() for i in range(count)]


def read(path: Path, **options):
    return read_examples(ExampleFiles(path, **options))


def test_labels_are_seen_and_split_in_their_shares(tmp_path):
    path = write(tmp_path, "a.tsv", labelled({"yes": 12, "no": 6, "maybe": 3}))
    found = read(path)
    assert found.task.type == "classification" and found.task.metric == "ACC"
    assert found.task.labels == ("maybe", "no", "yes") and found.task.name == "a"
    assert Counter(row.output for row in found.dev) == {"yes": 6, "no": 3, "maybe": 2}
    assert not {row.input for row in found.train} & {row.input for row in found.dev}
    assert len(found.train) + len(found.dev) == 21
    again, other = read(path), read(path, seed=14)
    assert again.dev == found.dev and other.dev != found.dev
    assert len(read(path, dev_share=0.25).dev) == 6
    assert any("yes (12)" in sentence and "--free-text" in sentence for sentence in found.told)


def test_a_large_file_does_not_spend_half_of_itself_on_dev(tmp_path):
    found = read(write(tmp_path, "a.tsv", labelled({"yes": 600, "no": 600})))
    assert len(found.dev) == MOST_DEV


def test_free_text_and_its_metric(tmp_path):
    short = write(tmp_path, "a.tsv", [(f"question {i}", f"answer {i}") for i in range(20)])
    found = read(short)
    assert found.task.labels == () and found.task.metric == "EM" and len(found.dev) == 10
    long = write(tmp_path, "b.tsv", [(f"text {i}", f"a summary of some length, number {i}") for i in range(20)])
    assert read(long).task.metric == "Rouge-L"
    assert read(long, metric="QA-F1").task.metric == "QA-F1"
    labels = write(tmp_path, "c.tsv", labelled({"1": 10, "2": 10}))
    assert read(labels, free_text=True).task.labels == ()
    answers = write(tmp_path, "e.tsv", [(f"the {word} {i}", word) for word in ("cat", "dog") for i in range(9)])
    assert read(answers).task.labels == () and read(answers, labels=("cat", "dog")).task.labels == ("cat", "dog")
    few = write(tmp_path, "f.tsv", labelled({"aa": 2, "bb": 2, "cc": 2}))
    assert read(few).task.labels == ("aa", "bb", "cc")
    assert read(labels, metric="Pearson-Correlation").task.labels == ()
    dev = write(tmp_path, "d.tsv", [("another question", "answer 3")])
    assert read(short, labels=tuple(f"answer {i}" for i in range(20)), dev=dev).task.metric == "ACC"


def test_a_label_of_one_example_is_trained_on(tmp_path):
    found = read(write(tmp_path, "a.tsv", labelled({"a": 6, "b": 6, "c": 1})))
    assert Counter(row.output for row in found.train) == {"a": 3, "b": 3, "c": 1}
    assert Counter(row.output for row in found.dev) == {"a": 3, "b": 3} and found.task.labels == ("a", "b", "c")
    assert any("'c' has one example alone (line 13), which is trained on" in sentence for sentence in found.told)


def test_values_on_a_scale_are_numbers_and_no_labels(tmp_path):
    stars = write(tmp_path, "a.tsv", [(f"text {i}", f"{0.5 * (i % 10 + 1)}") for i in range(40)])
    found = read(stars)
    assert found.task.metric == "Pearson-Correlation" and found.task.labels == ()
    assert any("Pearson-Correlation" in sentence for sentence in found.told)
    assert read(stars, metric="ACC").task.labels
    commas = write(tmp_path, "c.tsv", [(f"text {i}", f"{0.5 * (i % 10 + 1)}".replace(".", ",")) for i in range(40)])
    assert any("with a point (3.5 for 3,5)" in sentence for sentence in read(commas).told)
    assert not any("decimal commas" in sentence for sentence in [*found.told, *read(stars, metric="ACC").told])
    grades = write(tmp_path, "b.tsv", [(f"text {i}", f"{i % 3 + 1}.0") for i in range(40)])
    assert read(grades).task.labels == ("1.0", "2.0", "3.0")
    years = write(tmp_path, "c.tsv", [(f"text {i}", str(1900 + i)) for i in range(40)])
    assert read(years).task.metric == "EM"


def test_a_label_that_only_dev_has_is_named_with_its_line(tmp_path):
    train = write(tmp_path, "a.tsv", labelled({"good": 8, "bad": 8}))
    dev = write(tmp_path, "dev.tsv", [*labelled({"good": 2}, "dev"), ("so so", "neutral"), ("x", "bad")])
    with pytest.raises(UserError) as told:
        read(train, dev=dev)
    assert f"{dev}, line 3: the label 'neutral'" in str(told.value) and "bad, good" in str(told.value)
    with pytest.raises(UserError, match=r"test.tsv, line 1: the label 'ugly'"):
        read(train, test=write(tmp_path, "test.tsv", [("one", "ugly")]))
    found = read(train, dev=dev, labels=("good", "bad", "neutral"))
    assert any("no example of 'neutral'" in sentence for sentence in found.told)
    assert len(read(train, dev=dev, free_text=True).dev) == 4


def test_what_is_twice_is_told(tmp_path):
    rows = labelled({"good": 6, "bad": 6})
    path = write(tmp_path, "a.tsv", [*rows, rows[0], ("text good1", "bad")])
    found = read(path)
    assert any(sentence.endswith("left out: line 13") for sentence in found.told)
    assert any("different outputs" in sentence and "lines 2 and 14" in sentence for sentence in found.told)
    assert len(found.train) + len(found.dev) == 13
    assert "text good1" not in {row.input for row in found.dev}  # torn: in train alone


def test_what_train_and_dev_share_is_told_and_left_out_of_train(tmp_path):
    rows = labelled({"good": 6, "bad": 6})
    train, dev = write(tmp_path, "a.tsv", rows), write(tmp_path, "b.tsv", [*rows[:2], ("new", "bad")])
    found = read(train, dev=dev, test=write(tmp_path, "c.tsv", [("new", "bad"), rows[5]]))
    assert len(found.train) == 10 and len(found.dev) == 3
    assert any("left out of training: lines 1 and 2" in sentence for sentence in found.told)
    assert sum("test score is too good" in sentence for sentence in found.told) == 2


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (labelled({"a": 2, "b": 1}), {}, "has 3 different examples; at least 4"),
        (labelled(dict.fromkeys("abcd", 1)), {"labels": tuple("abcd")}, "every label has one example alone"),
        (labelled({"a": 6}), {}, "every output is 'a'"),
        (labelled({"a": 6}), {"labels": ("a", "b")}, "no example of the label 'b'"),
        (labelled({"aa": 6, "bb": 4}), {"labels": ("aa", "b")}, r"line 7: the label 'bb' is not among --labels"),
        (labelled({"a": 6, "b": 6}), {"metric": "Pearson-Correlation"}, "line 1: 'a' is no number"),
        (
            labelled({"3,5": 6, "-1,25": 6}),
            {"metric": "Pearson-Correlation"},
            "line 1: '3,5' is no number.*; write 3.5",
        ),
        (labelled({"a": 6, "b": 6}), {"metric": "accuracy"}, "no metric 'accuracy'"),
        (labelled({"a": 6, "b": 6}), {"dev_share": 1.0}, "--dev-share"),
        (labelled({"a": 6}), {"labels": ("a",)}, "--labels a: a classification has two labels or more"),
        (labelled({"a": 6, "b": 6}), {"labels": ("a",), "free_text": True}, "contradict"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(tmp_path, rows, options, said):
    with pytest.raises(UserError, match=said):
        read(write(tmp_path, "a.tsv", rows), **options)


SEEN_ALIKE = [
    ("caf\u00e9", "cafe\u0301"),
    ("good", "go\u200bod"),
    ("good", "\ufeffgood"),
    ("❤", "❤\ufe0f"),
    ("so so", "so\xa0so"),
]


@pytest.mark.parametrize(("label", "other"), SEEN_ALIKE)
def test_labels_that_look_alike_are_spelled_out(tmp_path, label, other):
    rows = labelled({label: 6, "bad": 6, other: 2})
    shown = rf"the labels {re.escape(ascii(label))} \(line 1\) and {re.escape(ascii(other))} \(line 13\) look alike"
    with pytest.raises(UserError, match=shown):
        read(write(tmp_path, "a.tsv", rows))
    train = write(tmp_path, "b.tsv", rows[:12])
    seen = rf"it looks like {re.escape(ascii(label))} but is {re.escape(ascii(other))}"
    with pytest.raises(UserError, match=rf"dev.tsv, line 1: the label .* is not among .*{seen}"):
        read(train, dev=write(tmp_path, "dev.tsv", [("new", other)]))
    with pytest.raises(UserError, match=r"b.tsv, line 1: .* is not among --labels; it looks like"):
        read(train, labels=(other, "bad"))
    with pytest.raises(UserError, match=r"--labels: the labels .* look alike"):
        read(train, labels=(label, other, "bad"))
    assert read(write(tmp_path, "a.tsv", rows), free_text=True).task.labels == ()


def test_a_label_in_the_first_column_is_told(tmp_path):
    rows = [(label, text) for text, label in labelled({"good": 6, "bad": 6})]
    path = write(tmp_path, "a.tsv", rows)
    headed = write(tmp_path, "headed.tsv", [("verdict", "remark"), *rows])
    for file, free in ((path, "none of 12"), (headed, "1 of 13")):
        with pytest.raises(UserError, match=rf"{free} .* several outputs; .*say --input 2 --output 1, else give --dev"):
            read(file)
    told = read(path, dev=write(tmp_path, "dev.tsv", [("fine", "text")])).told
    assert any("the inputs repeat and the outputs do not" in sentence for sentence in told)
    assert read(path, input="2", output="1").task.labels == ("bad", "good")


def own(folder: Path, more: str = "") -> Path:
    rows = "".join(f"{n},text {n},{n % 2}\n" for n in range(40))
    (folder / "a.csv").write_text(f"id,text,verdict\n{rows}", encoding="utf-8")
    text = f'file: a.csv\ninput: "{{text}} ?"\noutput: verdict\nlabels: {{0: bad, 1: good}}\n{more}'
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def test_an_own_task_says_what_is_what(tmp_path):
    path = own(tmp_path, "metric: Classification-F1\n")
    found, task = read(path), read_own_task(path)
    assert found.task == task.task and found.task.metric == "Classification-F1" and found.task.name == "mine"
    assert found.test == task.rows("test") and len(found.test) == 8 and found.template == "{text} ?"
    assert (
        Counter(row.output for row in found.dev) == Counter(row.output for row in found.train) == {"bad": 8, "good": 8}
    )
    assert sorted(row.line for row in [*found.train, *found.dev]) == [row.line for row in task.rows("train")]
    assert len(read(path, dev_share=0.25).dev) == 8 and read(path, seed=14).dev != found.dev
    with pytest.raises(UserError, match=r"--labels and --metric cannot be given with .*mine.yaml: a task's YAML"):
        read(path, labels=("a", "b"), metric="ACC")
    text = path.read_text(encoding="utf-8").replace("file:", "dev: dev.csv\ntrain:")
    (tmp_path / "dev.csv").write_text("text,verdict\nnew,1\ntext 3,0\n", encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert [row.output for row in read(path).dev] == ["good", "bad"]
    assert "text 3 ?" not in {row.input for row in [*read(path).train]}


def test_an_input_of_several_columns_is_a_template(tmp_path):
    rows = "".join(f"{n},part {n},body {n},{('good', 'bad')[n % 2]}\n" for n in range(40))
    (tmp_path / "a.csv").write_text(f"id,subject,body,kind\n{rows}", encoding="utf-8")
    found = read(tmp_path / "a.csv", input="{subject}: {body}")
    assert found.template == "{subject}: {body}" and found.task.labels == ("bad", "good")
    assert {row.input for row in [*found.train, *found.dev]} == {f"part {n}: body {n}" for n in range(40)}
