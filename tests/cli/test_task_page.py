"""The page of a task."""

from mpt.cli.task_page import task_page
from mpt.data.tasks.known import catalogue


def test_every_step_has_a_line():
    lines = task_page(catalogue()["duorc"]).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("rows "))
    assert lines[first].startswith("rows        reading.answerable(unanswerable=no_answer, text=plot, spoilt=This ")
    assert lines[first + 1] == "then        text.cleaned(text=question: {question} context: {plot})"
    assert lines[first + 2] == "input       {cleaned}"
