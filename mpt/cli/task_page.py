"""All that is known about a task, as a page of plain text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from mpt.data.catalogue.recipe import ExampleRecipe, Record
from mpt.data.catalogue.source import DataSource
from mpt.data.synthetic.draw import synthetic_fewshot, synthetic_tasks
from mpt.data.tasks.mixtures import load_mixture, mixture_names
from mpt.data.tasks.partitions import load_partition, partition_names
from mpt.data.tasks.task import Task

_WIDTH = 12


def sampling(task: Task) -> str:
    """How many examples a draw has: ``16 a label``, or ``32`` in all."""
    by_label = bool(task.labels) if task.name in synthetic_tasks() else task.by_label
    return "16 a label" if by_label else "32"


def task_page(task: Task) -> str:
    """Facts by name, one a line, then an example."""
    return "".join(f"{line.rstrip()}\n" for line in _lines(task))


def _lines(task: Task) -> Iterator[str]:
    recipe = task.recipe
    yield task.name
    yield _fact("type", task.type)
    if task.category:
        yield _fact("category", task.category)
    if task.suite:
        yield _fact("suite", task.suite)
    yield _fact("metric", task.metric)
    yield _fact("sampling", f"{sampling(task)} in train and in dev")
    if recipe is not None and recipe.label:
        words: dict[str, list[str]] = {}
        for value, word in recipe.words.items():
            words.setdefault(word, []).append(str(value))
        yield _fact("labels", ", ".join(f"{_shown(word)} ({', '.join(values)})" for word, values in words.items()))
    elif task.labels:
        yield _fact("labels", ", ".join(map(_shown, task.labels)))
    else:
        yield _fact("labels", "not listed: each different output is one" if task.by_label else "none: free text")
    if recipe is not None:
        yield from _recipe(recipe)
    elif task.name in synthetic_tasks():
        yield _fact("source", "made by the package")
    mixtures = [name for name in mixture_names() if task.name in load_mixture(name).tasks]
    if mixtures:
        yield _fact("mixtures", ", ".join(mixtures))
    places = [(name, load_partition(name).part_of(task.name)) for name in partition_names()]
    for i, place in enumerate(f"{part} of {name}" for name, part in places if part):
        yield _fact("" if i else "partitions", place)
    yield ""
    if recipe is not None and recipe.example is not None:
        for i, row in enumerate(recipe.example.rows, start=1):
            yield "an invented row" + (f" ({i} of {len(recipe.example.rows)})" if len(recipe.example.rows) > 1 else "")
            for column, value in row.items():
                yield f"  {column}: {_shown(value)}"
        yield "becomes"
        yield from _records(recipe.records(recipe.example.rows, task.name))
    elif task.name in synthetic_tasks():
        first = synthetic_fewshot(task.name, 13).train[0]
        yield "an example"
        yield from _records([Record(first.input, "\t".join(first.targets))])
    else:
        yield "How its records are made is not in the catalogue."


def _recipe(recipe: ExampleRecipe) -> Iterator[str]:
    source = recipe.source
    for i, step in enumerate(recipe.steps):
        options = ", ".join(f"{name}={_shown(value)}" for name, value in step.options.items())
        yield _fact("then" if i else "rows", f"{step.function}({options})")
    yield _fact("input", recipe.input.text)
    yield _fact("output", recipe.output.text if recipe.output is not None else f"the word of column {recipe.label}")
    yield _fact("source", str(source))
    if not source.elsewhere:
        pool = " + ".join(source.train) + (f", the first {source.first:,} records" if source.first is not None else "")
        yield _fact("splits", f"train: {pool}; test: {_test_list(source)}")
    yield _fact("version", str(recipe.version))
    if recipe.note:
        yield _fact("note", recipe.note)


def _test_list(source: DataSource) -> str:
    if source.test:
        splits = " + ".join(source.test)
        return splits if source.test_share is None else f"the first {source.test_share:.0%} of {splits}, shuffled"
    shuffled = f"{' + '.join(source.train)} after shuffling with seed {source.holdout_seed}"
    if source.holdout_sizes is not None:
        pool, test = source.holdout_sizes
        return f"the next {test:,} records after the first {pool:,}, the pool, of {shuffled}"
    return f"the last {1 - source.holdout_test_from:.0%} of {shuffled}; the first 80% are the pool"


def _records(records: Iterable[Record]) -> Iterator[str]:
    for record in records:
        yield f"  input:  {record.input}"
        yield from (f"  output: {output}" for output in record.output.split("\t"))


def _fact(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{' '.join(text.split(chr(10)))}"


def _shown(value: object) -> str:
    """A text as it is if it could not be taken for anything else, the rest as JSON."""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    if not isinstance(value, str) or not value or not value.isprintable() or value != value.strip():
        return shown
    try:
        json.loads(value)
    except ValueError:
        return value
    return shown
