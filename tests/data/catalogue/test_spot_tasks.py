"""SPoT's data sets are built by the code that builds CrossFit's: from Parquet files of their sources' form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.crossfit_files import write_branch, write_own, write_raw

from mpt.cli.task_page import task_page
from mpt.data.build.build import BuildJob, build
from mpt.data.build.pool import hub_pool
from mpt.data.fewshot.files import load_fewshot
from mpt.data.tasks.known import catalogue, read_task
from mpt.util.errors import UserError


def text(i: int) -> str:
    return f"number {i} of them,  with two\nlines"


def mrqa(i: int) -> dict[str, Any]:
    subset = ("SQuAD", "NewsQA")[i % 2]
    return {"subset": subset, "question": f"Who is {i}?", "context": text(i), "answers": [f"A {i}", f"A {i}", "B"]}


# By task: the rows of its source by their number, and the line that the row of number 6 becomes.
ROWS: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "snli": (
        lambda i: {"premise": text(i), "hypothesis": "Two lines.", "label": i % 4 - 1},
        "premise: number 6 of them, with two lines [SEP] hypothesis: Two lines.\tneutral",
    ),
    "anli-full": (
        lambda i: {"premise": text(i), "hypothesis": "Two lines.", "label": i % 3},
        "premise: number 6 of them, with two lines [SEP] hypothesis: Two lines.\tentailment",
    ),
    "glue-stsb": (
        lambda i: {"sentence1": text(i), "sentence2": "b", "label": i % 51 / 10},
        "sentence 1: number 6 of them, with two lines [SEP] sentence 2: b\t0.6",
    ),
    "mrqa-squad": (mrqa, "question: Who is 6? context: number 6 of them, with two lines\tA 6\tB"),
    "mrqa-textbookqa": (
        lambda i: mrqa(i) | {"subset": ("TextbookQA", "RACE")[i % 2]},
        "question: Who is 6? context: number 6 of them, with two lines\tA 6\tB",
    ),
    "go_emotions": (
        lambda i: {"text": text(i), "labels": [i % 28, (i + 1) % 28]},
        "comment: number 6 of them, with two lines\tconfusion, curiosity",
    ),
    "wmt16-en-ro": (
        lambda i: {"translation": {"en": text(i), "ro": f"al  {i}-lea" if i % 5 else ""}},
        "translate English to Romanian: number 6 of them, with two lines\tal 6-lea",
    ),
    "wiki_lingua": (
        lambda i: {"url": "", "article": {"document": [text(i), "b"], "summary": [f"s {i}", "t\n"]}},
        "summarize: number 6 of them, with two lines b\ts 6 t",
    ),
    "gem-dart": (
        lambda i: {"tripleset": [["a", "b", str(i)], ["c", "d", "e"]], "target": text(i)},
        "a : b : 6 | c : d : e\tnumber 6 of them, with two lines",
    ),
    "gem-schema_guided_dialog": (
        lambda i: {
            "dialog_acts": [{"act": 13, "slot": "city", "values": []}, {"act": 3, "slot": "", "values": []}],
            "prompt": text(i),
            "target": f"Bye {i}.",
        },
        "acts: REQUEST(city) GOODBYE() [SEP] prompt: number 6 of them, with two lines\tBye 6.",
    ),
}


def branch_of(folder: Path, name: str, make: Callable[[int], dict[str, Any]], size: int = 400) -> Callable[..., Any]:
    """A stand-in of the hub with all splits of a task's source."""
    source = catalogue()[name].recipe.source
    for split in (*source.train, *source.test):
        write_branch(folder, source.config, **{split: [make(i) for i in range(size)]})
    return lambda source, split: sorted((folder / source.config / split).iterdir())


@pytest.mark.parametrize("name", ROWS)
def test_a_task_is_built_from_parquet_files_of_its_sources_form(name, tmp_path):
    make, line = ROWS[name]
    fetch = branch_of(tmp_path / "branch", name, make)
    task = catalogue()[name]
    result = build(BuildJob(task, tmp_path / "root", (4, "all"), (13,)), fetch)
    assert result == "built" and not result.note, "every line is read back as it was"
    folder = tmp_path / "root" / name
    whole = [path.read_text() for path in sorted(folder.glob(f"{name}_all_13_*.tsv"))]
    assert f"{line}\n" in "".join(whole)
    draw = load_fewshot(tmp_path / "root", name, 13, 4)
    labels = len(task.labels) if task.by_label else 1
    assert len(draw.train) == len(draw.dev) == 4 * labels and draw.task.metric == task.metric


def test_only_the_first_records_of_a_huge_source_are_taken(tmp_path):
    task = catalogue()["c4"]
    source = task.recipe.source
    assert source.first == sum(source.holdout_sizes) and source.holdout_sizes[0] > 2**19
    small = replace(task, recipe=replace(task.recipe, source=replace(source, first=50, holdout_sizes=(40, 10))))
    fetch = branch_of(tmp_path, "c4", lambda i: {"text": f"document {i}" if i % 2 else "one"})
    pool = hub_pool(small, fetch)
    made = sorted(int(record.output.split()[1]) for record in [*pool.train, *pool.test])
    assert made == list(range(1, 101, 2)) and not any(record.input for record in pool.train)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{elsewhere: 3}", "source.elsewhere must be a text, not 3"),
        ("{elsewhere: there, hub: who/what}", "source has elsewhere, and then no other key"),
        (
            "{hub: a/b, config: c, revision: r, train: t, test: v, first: 0}",
            "source.first must be a whole number of at",
        ),
    ],
)
def test_a_mistake_in_a_source_is_told_by_its_key(tmp_path, source, complaint):
    path = write_own(tmp_path / "own.yaml")
    text = path.read_text()
    begin, end = text.index("source:"), text.index("input:")
    path.write_text(f"{text[:begin]}source: {source}\n{text[end:]}")
    with pytest.raises(UserError, match=r"own\.yaml") as raised:
        read_task(path)
    assert complaint in str(raised.value)


def test_a_label_without_a_word_is_told(tmp_path):
    fetch = branch_of(tmp_path, "go_emotions", lambda i: {"text": text(i), "labels": [28]})
    with pytest.raises(UserError, match=r"split train, row 1 has not the form .* label 28 among 28 words"):
        hub_pool(catalogue()["go_emotions"], fetch)


@pytest.mark.parametrize("name", ["cxc", "newsroom"])
def test_what_is_not_on_the_hub_is_built_from_raw_files(name, tmp_path):
    task = catalogue()[name]
    with pytest.raises(UserError, match=f"not on the hub but at {task.recipe.source.elsewhere}; build from raw files"):
        build(BuildJob(task, tmp_path / "root"), lambda *_: pytest.fail("the hub was asked"))
    raw = write_raw(tmp_path / "raw", name)
    assert build(BuildJob(task, tmp_path / "root", raw=raw), lambda *_: pytest.fail("the hub was asked")) == "built"
    assert f"source      {task.recipe.source.elsewhere}\n" in task_page(task) and "splits" not in task_page(task)
