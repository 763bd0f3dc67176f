"""The example of a user's own task file must come out as the file says."""

import pytest
from support.changes import replaced_in
from support.crossfit_files import write_own

from mpt.data.catalogue.example_check import check_example
from mpt.data.tasks.known import catalogue, read_task
from mpt.util.errors import UserError

ROW = "{text: Is it?, label: 1, id: 7}"


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_examples_of_the_catalogue_do_from_the_listed_columns_alone(name):
    check_example(catalogue()[name].recipe, catalogue()[name].labels, name)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"question: {text}"', '"question: {text:lower}"', "input is 'question: is it?' as made from its row, and not"),
        (
            'input: "question: Is it?"',
            'input: "question: Is it"',
            "input is 'question: Is it?' as made from its row",
        ),
        ('output: "yes"', 'output: "no"', "output is 'yes' as made from its row, and not 'no' as stated there"),
        ('output: "yes"', 'output: ["yes", "no"]', "output is 'yes' as made from its row, and not 'yes\\tno'"),
        (ROW, "{text: Is it?, id: 7}", "row 1 must have every column that is read, and has no 'label'"),
        (f"row: {ROW}", f"rows: [{ROW}, {ROW}]", "its rows make 2 records, and it states 1"),
        (
            ROW,
            "{text: Is it?, label: 3}",
            "row 1 has the label 3 in column label; known are 0 (no), 1 (yes)",
        ),
        (
            ROW,
            "{text: Is it?, label: [1]}",
            "rows, input or output cannot be applied to its row: a value in it is of another kind",
        ),
        (
            '{text}"',
            '{text[a]}"',
            "rows, input or output cannot be applied to its row: a value in it is of another kind",
        ),
        (ROW, "{text: , label: 1}", "input is 'question: ' as made from its row, and not 'question: Is it?'"),
        (ROW, "{text: [], label: 1}", "rows, input or output cannot be applied to its row: text is a list, not a text"),
        (
            'label: label\nlabels: {0: "no", 1: "yes"}',
            'output: "{label}"\nlabels: ["no", "yes"]',
            "output is '1' as made from its row, and not 'yes'",
        ),
    ],
)
def test_an_example_that_does_not(tmp_path, old, new, complaint):
    path = write_own(tmp_path / "own.yaml")
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_task(path)
    told = str(raised.value)
    assert told.startswith(
        (f"The task file {path}: example: {complaint}", f"The task file {path}: example, {complaint}")
    )
    assert "\n" not in told


def test_an_output_that_is_none_of_the_labels(tmp_path):
    path = write_own(tmp_path / "own.yaml")
    labels = ('label: label\nlabels: {0: "no", 1: "yes"}', 'output: "{text}"\nlabels: [a, b]')
    replaced_in(path, *labels, 'output: "yes"', "output: Is it?")
    with pytest.raises(UserError, match=r"own\.yaml: example: the output 'Is it\?' is none of the labels a, b\."):
        read_task(path)


def test_a_long_difference_is_shown_in_short(tmp_path):
    path = write_own(tmp_path / "own.yaml")
    long = "word " * 1000
    replaced_in(path, "Is it?", f"{long}end", f'"question: {long}end"', f'"question: {long}ends"')
    with pytest.raises(UserError) as raised:
        read_task(path)
    assert "word word word end' as" in str(raised.value) and len(str(raised.value)) < 400
