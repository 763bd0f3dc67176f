"""Every task's catalogue file: its invented row renders to CrossFit's text."""

import pytest

from mpt.data.tasks.known import catalogue


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_example_renders_to_crossfits_text(name):
    task = catalogue()[name]
    example = task.recipe.example
    records = list(task.recipe.records(example.rows, name))
    assert records == list(example.records)
    if task.labels:
        assert {record.output for record in records} <= set(task.labels)
