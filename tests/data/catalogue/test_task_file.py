"""A user's own task file: every mistake in it is one sentence with the file and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.crossfit_files import use_cache
from support.toy import Mpt

from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.known import catalogue, read_task
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError

OWN = """\
name: own
type: classification
category: other
metric: ACC
by_label: true
source:
  hub: who/what
  config: default
  revision: refs/convert/parquet
  train: train
  test: validation
columns: [text, label]
rows: {function: selection.without, column: label, values: [-1]}
input: "question: {text}"
label: label
labels: {0: "no", 1: "yes"}
version: 1
note: Made up.
example:
  row: {text: Is it?, label: 1, id: 7}
  input: "question: Is it?"
  output: "yes"
"""

POOL = "  train: train\n  test: validation\n"
ROWS = "columns: [text, label]\nrows: {function: selection.without, column: label, values: [-1]}\n"
LABEL = 'label: label\nlabels: {0: "no", 1: "yes"}\n'
ROW = "  row: {text: Is it?, label: 1, id: 7}\n"
RECORD = '  input: "question: Is it?"\n  output: "yes"\n'
EXAMPLE = f"example:\n{ROW}{RECORD}"

PYTHONS_WORDS = re.compile(r"\w+Error|Traceback|NoneType|None|True|object|'(int|str|list|dict)'|attribute|\bnot enough")


def own(folder: Path, *changes: tuple[str, str], name: str = "own") -> Path:
    """The file with some of its text replaced."""
    text = OWN
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> str:
    """What is told about a file, less its start."""
    with pytest.raises(UserError) as raised:
        read_task(path)
    told = str(raised.value)
    assert told.startswith(f"The task file {path}") and told.endswith((".", "?")) and "\n" not in told
    assert not PYTHONS_WORDS.search(told.removeprefix(f"The task file {path}")), told
    return told.removeprefix(f"The task file {path}")


def test_a_file_without_mistakes(tmp_path):
    task = read_task(own(tmp_path))
    assert isinstance(task, Task) and task.labels == ("no", "yes") and task.recipe.columns == ("text", "label")
    assert read_task(str(tmp_path / "own.yaml")) == task


@pytest.mark.parametrize(
    "changes",
    [
        [("test: validation", "test: [validation, more]\n  test_share: 0.5")],
        [("test: validation", "holdout_seed: 0")],
        [("test: validation", "holdout_seed: 42\n  holdout_sizes: [10, 1]")],
        [("test: validation", "holdout_seed: 42\n  holdout_test_from: 0.8")],
        [(ROWS, "")],
        [(ROWS, "columns: [text, label, id]\n")],
        [(LABEL, 'output: "{label}"\nlabels: ["1"]\n'), (RECORD, '  input: "question: Is it?"\n  output: "1"\n')],
        [(LABEL, 'output: "{label}"\n'), (RECORD, '  input: "question: Is it?"\n  output: ["1"]\n')],
        [("version: 1\nnote: Made up.\n", "")],
        [(ROW, "  rows: [{text: Is it?, label: 1}, {text: b, label: -1}]\n")],
        [(RECORD, '  records: [{input: "question: Is it?", output: "yes"}]\n')],
        [("name: own", "name: 2020-02-31")],
    ],
)
def test_other_forms_that_are_right(tmp_path, changes):
    name = "2020-02-31" if "02-31" in changes[0][1] else "own"
    assert read_task(own(tmp_path, *changes, name=name)).name == name


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        # The whole file
        (OWN, "", ": it must be a mapping with the keys name, type"),
        (OWN, "- a\n", ": it must be a mapping with the keys name, type"),
        (OWN, "[" * 3000, ", line 1: lists and mappings lie in each other more than 50 deep"),
        (OWN, "? " * 3000, "more than 50 deep"),
        ("version: 1", "versoin: 1", ": it has the unknown key versoin; did you mean version?"),
        ("version: 1", "version: 1\n3: x", ": it has the unknown key 3"),
        ("metric: ACC\n", "", ": the key metric is missing"),
        ("metric: ACC\n", "metric: ACC\ntype: qa\n", ", line 5: the key type stands in line 2 already"),
        (POOL, f"{POOL}  train: more\n", ", line 12: the key source.train stands in line 10 already"),
        ('0: "no"', '1: "no"', ", line 16: the key labels.1 stands in line 16 already"),
        # Plain facts
        ("name: own", "name: 2020-13-45", ": name is '2020-13-45'; a task's file is called after it, 2020-13-45.yaml"),
        ("name: own", "name: 2020-02-31", ": name is '2020-02-31'"),
        ("name: own", "name: 3", ": name must be a text, not 3: put it in quotes"),
        ("name: own", "name:", ": name must be a text, not nothing"),
        ("name: own", "name: ../own", ": name '../own' cannot be the name of a folder"),
        ("name: own", "name: .own", ": name '.own' cannot be the name of a folder"),
        ("name: own", "name: !!set {own}", ", line 1: name: the tag !!set must not be there; put a text in quotes"),
        ("name: own", "name: !!binary b3du", ", line 1: name: the tag !!binary must not be there"),
        ("type: classification", "type: [qa]", ": type must be a text, not a list"),
        ("type: classification", "type: {}", ": type must be a text, not a mapping"),
        ("type: classification", "type: 3", ": type must be a text, not 3: put it in quotes"),
        ("type: classification", "type: clasification", ": type is one of classification, qa, generation, other"),
        ("category: other", "category: [a]", ": category must be a text, not a list"),
        ("category: other", "category: 3", ": category must be a text, not 3"),
        ("category: other", "category: ''", ": category must not be empty"),
        ("category: other", 'category: "a\\nb"', ": category must be in one line and without tabs"),
        ("metric: ACC", "metric: [a]", ": metric must be a text, not a list"),
        ("metric: ACC", "metric: Acc", ": metric is one of "),
        ("by_label: true", "by_label: 1", ": by_label is true or false, not 1"),
        ("by_label: true", "by_label: 'true'", ": by_label is true or false, not 'true'"),
        ("version: 1", "version: 2020-01-01", ": version must be a whole number of at least 1, not '2020-01-01'"),
        ("version: 1", "version: 0", ": version must be a whole number of at least 1, not 0"),
        ("version: 1", "version: true", ": version must be a whole number of at least 1, not true"),
        ("version: 1", "version: 1.5", ": version must be a whole number of at least 1, not 1.5"),
        ("note: Made up.", "note:", ": note must be a text, not nothing"),
        ("note: Made up.", "note: [a]", ": note must be a text, not a list"),
        # Labels
        (LABEL, "label: label\nlabels:\n", ": labels must map each value of the column label to its word, not nothing"),
        (LABEL, "label: label\nlabels: a\n", ": labels must map each value of the column label to its word, not 'a"),
        (LABEL, "label: label\nlabels: {}\n", ": labels must map each value of the column label to its word."),
        (LABEL, "label: label\nlabels: [no, yes]\n", ": labels must map each value of the column label"),
        (LABEL, "label: label\n", ": labels must map each value of the column label to its word."),
        (LABEL, "label: label\nlabels: {0: no}\n", ": labels: the word of 0 must be a text, not false: put it in"),
        (LABEL, "label: label\nlabels: {0: ''}\n", ": labels: the word of 0 must not be empty"),
        (LABEL, 'label: label\nlabels: {0: "a\\tb"}\n', ": labels: the word of 0 must be in one line and without tabs"),
        (LABEL, "label: [label]\nlabels: {0: a}\n", ": label must be a text, not a list"),
        (LABEL, "label: 3\nlabels: {0: a}\n", ": label must be a text, not 3"),
        (LABEL, 'output: "{label}"\nlabels: abc\n', ": labels must be a list of texts, not 'abc'"),
        (LABEL, 'output: "{label}"\nlabels:\n', ": labels must be a list of texts, not nothing"),
        (LABEL, 'output: "{label}"\nlabels: []\n', ": labels is empty"),
        (LABEL, 'output: "{label}"\nlabels: {0: a}\n', ": labels must be a list of words where there is an output"),
        (LABEL, 'output: "{label}"\nlabels: [a, a]\n', ": labels names 'a' twice"),
        (LABEL, 'output: "{label}"\nlabels: [a, 1]\n', ": each of labels must be a text, not 1: put it in quotes"),
        (LABEL, "labels: [a]\n", ": either label (a column whose values labels maps to words)"),
        (LABEL, f'{LABEL}output: "{{label}}"\n', ": either label (a column whose values labels maps to words)"),
        # Templates and columns
        ('"question: {text}"', "3", ": input must be a text, not 3: put it in quotes"),
        ('"question: {text}"', "", ": input must be a text, not nothing"),
        ('"question: {text}"', "{text}", ": input must be a text, not a mapping"),
        ('"question: {text}"', "''", ": input must not be empty"),
        ('"question: {text}"', "question", ": input has no field; it takes a column of the source as {column}"),
        ('"question: {text}"', "'question: {text'", ": input has a brace without its twin"),
        ('"question: {text}"', "'question: text}'", ": input has a brace without its twin"),
        ('"question: {text}"', "'{}'", ": input: {} is not a column"),
        ('"question: {text}"', "'{text!r}'", ": input: {text!r}: conversions are not known here"),
        ('"question: {text}"', "'{text:strp}'", ": input: {text:strp} has the unknown filter strp"),
        (LABEL, "output: [a]\n", ": output must be a text, not a list"),
        ("columns: [text, label]", "columns: 3", ": columns must be a list of texts, not 3"),
        ("columns: [text, label]", "columns: text", ": columns must be a list of texts, not 'text'"),
        ("columns: [text, label]", "columns:", ": columns must be a list of texts, not nothing"),
        ("columns: [text, label]", "columns: []", ": columns is empty"),
        ("columns: [text, label]", "columns: [text, 3]", ": each of columns must be a text, not 3"),
        ("columns: [text, label]", "columns: [text, text]", ": columns names 'text' twice"),
        (ROWS, "columns: [text]\n", ": columns must list label, which input, output or label takes"),
        (ROWS, f"rows: {ROWS.partition('rows: ')[2]}", ": with rows, columns must list the source's columns"),
        # The example
        (EXAMPLE, "example: {}\n", ": example has no key row"),
        (EXAMPLE, "example:\n", ": example must be a mapping with the keys row, rows, input, output, records,"),
        (EXAMPLE, "example: [a]\n", ", rows, input, output, records, not a list"),
        (ROW, f"{ROW}  more: 1\n", ": example has the unknown key more; known are input, output, records, row"),
        (ROW, f"{ROW}  rows: [{{}}]\n", ": example has either row or rows"),
        (ROW, "  rows: {text: a}\n", ": example.rows must be a list of mappings, not a mapping"),
        (ROW, "  rows: []\n", ": example.rows is empty"),
        (ROW, "  rows: [a]\n", ": each of example.rows must be a mapping of keys to values, not 'a'"),
        (ROW, "  row: a\n", ": example.row must be a mapping of keys to values, not 'a'"),
        (ROW, "  row: {3: a}\n", ": example.row: the key 3 must be a text, not 3: put it in quotes"),
        ('output: "yes"', "output: yes", ": example.output must be a text, not true: put it in quotes"),
        ('output: "yes"', "output: [yes]", ": example.output must be a text, not true: put it in quotes"),
        ('output: "yes"', "output: {a: b}", ": example.output must be a text, not a mapping"),
        ('input: "question: Is it?"', "input: 3", ": example.input must be a text, not 3"),
        (RECORD, "  records: abc\n", ": example.records must be a list of mappings, not 'abc'"),
        (RECORD, "  records: [a]\n", ": each of example.records must be a mapping with the keys input, output"),
        (RECORD, "  records: [{input: a}]\n", ": each of example.records has no key output"),
        (RECORD, f"{RECORD}  records: [{{input: a, output: b}}]\n", ": example has either records or input and output"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_its_key(tmp_path, old, new, complaint):
    assert complaint in refused(own(tmp_path, (old, new)))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"name: \xe9\n", ": it is not UTF-8"),
        (None, ": No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, complaint):
    path = tmp_path / "own.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_task(path)
    assert str(raised.value) == f"Cannot read the task file {path}{complaint}."


def test_steps_are_applied_in_order(tmp_path):
    steps = (
        "columns: [text, label]\nrows:\n"
        "  - {function: selection.without, column: label, values: [-1]}\n"
        '  - {function: text.cleaned, text: " question:  {text}"}\n'
    )
    task = read_task(own(tmp_path, (ROWS, steps), ('"question: {text}"', '"{cleaned}"')))
    assert [step.function for step in task.recipe.steps] == ["selection.without", "text.cleaned"]
    rows = [{"text": "a\n b", "label": 1}, {"text": None, "label": -1}]
    assert list(task.recipe.records(rows, "rows")) == [Record("question: a b", "yes")]


def test_duorcs_whole_input_is_cleaned_as_crossfit_does():
    recipe = catalogue()["duorc"].recipe
    row = {"plot": " a\\nb ", "question": " ", "answers": ["c"], "no_answer": False}
    assert list(recipe.records([row], "rows")) == [Record("question: context: a b", "c")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name: own", "name: 2020-02-31", "name is '2020-02-31'"),
        (OWN, "[" * 3000, "line 1: lists and mappings"),
        ("test: validation", "holdout_seed: 42\n  holdout_sizes: []", "source.holdout_sizes must be two whole numbers"),
        ("selection.without", "choices.np", "rows: there is no row function 'choices.np'"),
        ('output: "yes"', 'output: "no"', "example: output is 'yes' as made from its row, and not 'no'"),
        ("metric: ACC\n", "metric: ACC\nmetric: EM\n", "line 5: the key metric stands in line 4 already"),
    ],
)
def test_the_command_tells_it_in_one_line(tmp_path, monkeypatch, capsys, old, new, complaint):
    monkeypatch.chdir(tmp_path)
    use_cache(monkeypatch, tmp_path / "home")
    own(tmp_path, (old, new))
    ended = Mpt(capsys)("data", "build", "own.yaml", "--root", "root")
    assert ended.code == 2 and ended.out == "" and ended.err.count("\n") == 1
    assert "The task file own.yaml" in ended.err and complaint in ended.err
    assert not Path("root").exists()
