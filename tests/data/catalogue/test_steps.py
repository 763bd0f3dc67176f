"""Row functions by name, with options that fit: told when the file is read."""

import re

import pytest
from support.changes import replaced_in
from support.crossfit_files import write_own

from mpt.data.catalogue.rows import choices, selection
from mpt.data.catalogue.steps import Step, check_options, row_function
from mpt.data.tasks.known import catalogue, read_task
from mpt.util.errors import UserError


def test_a_function_by_its_name():
    assert row_function("choices.indexed") is choices.indexed and row_function("selection.whole") is selection.whole


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_steps_of_the_catalogue_are_such(name):
    for step in catalogue()[name].recipe.steps:
        check_options(step)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("selection.without", "rows must be a mapping of function and the function's options, not 'selection.without'"),
        ("", "rows must be a mapping of function and the function's options, not nothing"),
        ("3", "rows must be a mapping of function and the function's options, not 3"),
        ("{}", "rows has no key function"),
        ("{column: label, values: [1]}", "rows has no key function"),
        ("[]", "rows is empty"),
        ("[selection.without]", "rows, step 1 must be a mapping of function and the function's options"),
        ("[{function: selection.filled, text: text}, {}]", "rows, step 2 has no key function"),
        ("[{function: selection.filled, text: text}, {function: a.b}]", "rows, step 2: there is no row function 'a.b'"),
        ("{function: 3}", "rows: function must be a text, not 3"),
        ("{function: [a]}", "rows: function must be a text, not a list"),
        ("{function: [a], 3: b}", "rows: function must be a text, not a list"),
        ("{function: selection.filled, 3: b}", "rows must be a mapping of texts, and 3 is none: put it in quotes"),
        ("{function: ''}", "rows: function must not be empty"),
        *(
            (
                f"{{function: {name}, choices: text}}",
                f"rows: there is no row function '{name}'; choices has comma_separ",
            )
            for name in (
                "choices.lettered",
                "choices.np",
                "choices.Field",
                "choices._field",
                "choices.FORM",
                "choices.indexd",
                "choices.listed.x",
                "choices.__doc__",
                "choices.",
                "choices",
            )
        ),
        *(
            (f"{{function: {name}}}", f"rows: there is no row function '{name}'; it is module.function, of answers")
            for name in ("indexed", ".", "..listed", "os.getcwd", "choices/.listed", "__init__.x", "Choices.listed")
        ),
        ("{function: selection.without, column: label}", "rows: selection.without needs the option values"),
        (
            "{function: selection.without, column: label, value: [1]}",
            "rows: selection.without has no option value; its options are column, values",
        ),
        ("{function: selection.filled, text: text, rows: x}", "rows: selection.filled has no option rows"),
        ("{function: selection.filled, text: text, return: x}", "rows: selection.filled has no option return"),
        (
            "{function: selection.filled, text: 3}",
            "rows: selection.filled: text must be a text (in quotes, if it looks like a number), not 3",
        ),
        (
            "{function: selection.without, column: label, values: abc}",
            "rows: selection.without: values must be a list of values, not 'abc'",
        ),
        (
            "{function: pairs.drawn_order, good: a, bad: b, seed: x}",
            "rows: pairs.drawn_order: seed must be a whole number, not 'x'",
        ),
        (
            "{function: pairs.drawn_order, good: a, bad: b, seed: true}",
            "rows: pairs.drawn_order: seed must be a whole number, not true",
        ),
        (
            "{function: choices.listed, choices: [a, 3]}",
            "rows: choices.listed: choices must be a text (in quotes, if it looks like a number) or a list of texts",
        ),
        (
            "{function: answers.masked, text: text, places: {a: 1}}",
            "rows: answers.masked: places must be a mapping of texts to texts, not a mapping",
        ),
        (
            "{function: spans.tagged, tokens: a, tags: b, spans: {a: b}}",
            "rows: spans.tagged: spans must be a mapping of texts to lists of values, not a mapping",
        ),
        (
            "{function: answers.gathered, items: a, text: b, empty: 0}",
            "rows: answers.gathered: empty must be true or false, not 0",
        ),
        (
            "{function: selection.binarised, rating: a, below: 1, above: x}",
            "rows: selection.binarised: above must be a number, not 'x'",
        ),
        # Options of the right kind that cannot be, as the example shows.
        (
            "{function: selection.filled, text: 'a['}",
            "example: rows, input or output cannot be applied to its row: {a[} is not a column",
        ),
        (
            "{function: selection.filled, text: text:strp}",
            "example: rows, input or output cannot be applied to its row: {text:strp} has the unknown filter strp",
        ),
        (
            "{function: selection.filled, text: txt}",
            "example: rows, input or output cannot be applied to its row: there is no 'txt' (the columns that are read "
            "are text, label)",
        ),
    ],
)
def test_a_mistake_is_told_when_the_file_is_read(tmp_path, rows, complaint):
    path = write_own(tmp_path / "own.yaml")
    replaced_in(path, "input:", f"columns: [text, label]\nrows: {rows}\ninput:", count=1)
    with pytest.raises(UserError) as raised:
        read_task(path)
    told = str(raised.value)
    said = re.fullmatch(rf"The task file {re.escape(str(path))}(, line \d+)?: (.*)", told)
    assert said and said[2].startswith(complaint)


def test_an_option_by_its_type_where_several_are_allowed():
    for given in ("a", ["a", "b"]):
        check_options(Step("choices.listed", {"choices": given}))
    check_options(Step("selection.binarised", {"rating": "a", "below": 1, "above": 0.5}))
