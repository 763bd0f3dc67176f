"""What is said of upstream costs, against sums done by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import yaml
from support.by_hand import record, run_of, setting, with_result, write_folder

from mpt.library.library import Library
from mpt.library.retrieval import candidates, digest
from mpt.present.csv_text import csv_text
from mpt.record.options import RunOptions, said_in
from mpt.record.result import RunResult
from mpt.study.report.costs import (
    COST_COLUMNS,
    READING,
    Amount,
    Cost,
    cost_rows,
    costs_table,
    examples_of,
    read_costs,
    upstream_costs,
)
from mpt.study.run.results import RunRecord, StudyFacts, read_study
from mpt.study.spec.settings import Setting

TWO = [Setting("p", "p", ("a", "b"), ("s",)), Setting("q", "q", ("b", "c"), ("s",))]
FACTS = StudyFacts("hand", "h.yaml", "mpt-tiny", "synthetic", TWO, "PT", ["PT", "MTL", "Top1", "Mix", "Late"], [13, 21])
SOURCE = ("shelf", "mpt-tiny", '["a"]', "abc")
WORDS = ["fit", "--model.backbone=mpt-tiny"]
TOP = [*WORDS, "--model.init.library=shelf", '--model.init.exclude=["a"]', "--model.init.digest=abc"]
MIX = [
    *WORDS,
    "--data.retrieved.library=shelf",
    '--data.retrieved.exclude=["a"]',
    "--data.retrieved.digest=abc",
]


def upstream(
    method: str, key: str, spent: tuple | None, partition: str | None = None, target: str | None = None, recipe=WORDS
) -> RunRecord:
    result = None
    if spent is not None:
        steps, examples, seconds = spent
        result = RunResult(steps=steps, examples=examples, seconds=seconds, recipe=recipe)
    return run_of(f"{method}/{key}", method, "upstream", target, 13, None, result, partition=partition)


def downstream(method: str, target: str, partition: str | None = None, recipe=WORDS) -> RunRecord:
    row = record(method, target, 13, 0.5, partition=partition)
    return with_result(row, recipe=recipe, steps=99, examples=999)


@pytest.fixture
def records() -> list[RunRecord]:
    return [
        *(upstream("embedding", f"{t}-13", (50, 400, 1.0), target=t) for t in "abc"),
        *(downstream("PT", t) for t in "abc"),
        upstream("MTL", "upstream-13", (850, 20_400, 30.5), "p"),
        upstream("MTL", "upstream-21", (850, 20_400, 29.5), "p"),
        upstream("MTL", "upstream-13", (100, 2_400, 5.0), "q"),
        upstream("MTL", "upstream-21", None, "q"),
        *(downstream("MTL", t, p) for t, p in ("ap", "bp", "bq", "cq")),
        *(downstream("Top1", t, p, TOP) for t, p in ("ap", "bp")),
        *(upstream("Mix", f"upstream-{t}-13", (150, 3_600, 4.0), "p", t, MIX) for t in "ab"),
        run_of("Late/a-13", "Late", "downstream", "a", 13, None, partition="p"),
    ]


def by_part(costs: list[Cost]) -> dict[tuple[str, str, str], Cost]:
    return {(cost.setting, cost.method, cost.part): cost for cost in costs}


def test_every_run_counts_in_its_setting_and_the_library_whole_for_each_that_retrieves(records):
    costs = upstream_costs(FACTS, records, {SOURCE: [(600, 4_800, None), (600, 4_800, 2.0)]})
    found = by_part(costs)
    assert list(found) == [
        ("p", "PT", "none"),
        ("p", "MTL", "own"),
        *(("p", "Top1", part) for part in ("keys", "library")),
        *(("p", "Mix", part) for part in ("own", "keys", "library")),
        ("q", "PT", "none"),
        ("q", "MTL", "own"),
    ]
    assert found["p", "PT", "none"] == Cost("p", "PT", "none")
    assert found["p", "MTL", "own"] == Cost("p", "MTL", "own", 2, Amount(1700), Amount(40_800), Amount(60.0))
    # A run without a result: of the two, what is known is a part.
    assert found["q", "MTL", "own"] == Cost(
        "q", "MTL", "own", 1, Amount(100, False), Amount(2_400, False), Amount(5.0, False)
    )
    for method in ("Top1", "Mix"):  # b's and a's keys, not c's
        assert found["p", method, "keys"] == Cost("p", method, "keys", 2, Amount(100), Amount(800), Amount(2.0))
        assert found["p", method, "library"] == Cost(
            "p", method, "library", 2, Amount(1200), Amount(9600), Amount(2, False)
        )
    assert found["p", "Mix", "own"].examples == Amount(7_200)


def test_a_library_of_teachers_counts_without_keys_for_who_learns_from_it(records):
    taught = upstream("Late", "upstream-13", (10, 720, 1.0), "p", recipe=[*WORDS, "--model.teachers=shelf"])
    shelf = [(600, 4_800, None), (600, 4_800, 2.0)]
    costs = upstream_costs(FACTS, [*records, taught], {SOURCE: shelf, ("shelf", "mpt-tiny", "", ""): shelf})
    own = [cost for cost in costs if cost.method == "Late"]
    assert [(cost.part, cost.runs, cost.examples) for cost in own] == [
        ("own", 1, Amount(720)),
        ("library", 2, Amount(9600)),
    ]


def test_the_table_adds_up_and_says_what_is_shared_and_what_is_not_known(records):
    costs = upstream_costs(FACTS, records, {SOURCE: [(600, 4_800, None), (600, 4_800, 2.0)]})
    table = costs_table(costs, "p")
    assert table.head == ["method", "learned upstream", "steps", "example passes", "seconds", "passes shared"]
    assert table.rows == [
        ["PT", "nothing", "0", "0", "0", "0"],
        ["MTL", "2 runs", "1,700", "40,800", "60", "0"],
        ["Top1", "2 keys, library of 2 prompts", "1,300", "10,400", "> 4", "10,400"],
        ["Mix", "2 runs, 2 keys, library of 2 prompts", "1,600", "17,600", "> 12", "10,400"],
    ]
    assert [row[:2] for row in costs_table(costs, "q").rows] == [["PT", "nothing"], ["MTL", "1 run"]]
    gone = costs_table(upstream_costs(FACTS, records, {SOURCE: None}), "p")
    assert gone.rows[2][1:] == [
        "2 keys, a library that is not what it was, or not there",
        "> 100",
        "> 800",
        "> 2",
        "> 800",
    ]
    assert str(Amount.of([None, None])) == "unknown" and str(Amount.of([])) == "0" and READING


def test_the_sheet_has_what_is_known_and_says_of_what_it_is_a_part(records):
    costs = upstream_costs(FACTS, records, {SOURCE: [(600, 4_800, None)]})
    rows = list(csv.DictReader(io.StringIO(csv_text(["partition", *COST_COLUMNS], cost_rows(costs)))))
    assert rows[1] == {
        "partition": "p", "method": "MTL", "part": "own", "runs": "2", "steps": "1700", "examples": "40800",
        "seconds": "60.0", "at_least": "",
    }  # fmt: skip
    shelf = next(row for row in rows if row["part"] == "library")
    assert (
        shelf["runs"],
        shelf["steps"],
        shelf["examples"],
        shelf["seconds"],
        shelf["at_least"],
    ) == ("1", "600", "4800", "", "")
    half = next(row for row in rows if (row["partition"], row["method"]) == ("q", "MTL"))  # one run of two
    assert list(half.values())[3:] == ["1", "100", "2400", "5.0", "steps examples seconds"]


FIXED = {
    "trainer": {"accumulate_grad_batches": 2},
    "model": {"init_args": {}},
    "data": {"init_args": {"batch_size": 24}},
}
META = {
    "trainer": {"accumulate_grad_batches": 1},
    "model": {
        "init_args": {"accumulate_grad_batches": 3, "algorithm": {"class_path": "x", "init_args": {"inner_steps": 5}}}
    },
    "data": {"init_args": {"batch_size": 4, "query_batch_size": None, "meta_batch_size": 2, "support_batches": 5}},
}


def test_a_run_of_before_is_counted_by_its_config():
    def of_ten_steps(config):
        return examples_of(RunOptions(said_in(yaml.safe_dump(config))), 10)

    assert of_ten_steps(FIXED) == 10 * 2 * 24
    assert of_ten_steps(META) == 10 * 3 * 2 * (5 * 4 + 4)
    taught = {**FIXED, "model": {"init_args": {"teachers": "shelf"}}}
    assert of_ten_steps(taught) == 3 * 10 * 2 * 24  # for its loss, and by teacher and student for the divergence
    own = {"init_args": {**META["data"]["init_args"], "query_batch_size": 7}}
    assert of_ten_steps({**META, "data": own}) == 10 * 3 * 2 * (5 * 4 + 7)
    for strange in (None, {}, {**META, "model": {"init_args": {"algorithm": "x"}}}, {**FIXED, "data": None}):
        assert of_ten_steps(strange) is None


@pytest.fixture
def of_before(tmp_path) -> Path:
    """A study's folder whose results tell no examples; the shipped library, and configs of two of three runs."""
    library = Library.open("synthetic")
    exclude = '["syn-list-first"]'
    known = digest(candidates(library, ["syn-list-first"]))
    words = {"library": "synthetic", "exclude": exclude, "digest": known}
    recipe = [*WORDS, *(f"--model.init.{name}={value}" for name, value in words.items())]
    rows = [
        upstream("embedding", "a-13", (50, None, 1.0), target="a"),
        upstream("MTL", "upstream-13", (10, None, 3.0)),
        upstream("MTL", "upstream-21", (10, None, 3.0)),
        downstream("PT", "a"),
        downstream("Top1", "a", None, recipe),
    ]
    made_with = {"versions": {}, "device": "cpu"}
    rows = [with_result(row, examples=None, environment=made_with) for row in rows]
    write_folder(tmp_path, rows, settings=[setting("p", "a")], methods=["PT", "MTL", "Top1"])
    for key, config in (("MTL/upstream-13", FIXED), ("embedding/a-13", FIXED)):
        (tmp_path / key / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return tmp_path


def test_a_folder_of_before_is_read_with_its_configs_and_its_library(of_before):
    facts, records = read_study(of_before)
    found = by_part(read_costs(of_before, facts, records))
    assert found["p", "MTL", "own"].examples == Amount(10 * 2 * 24, False)  # of the other nothing is left
    assert found["p", "Top1", "keys"].examples == Amount(50 * 2 * 24)
    # The shipped library, made by 600 steps of 8 for each of 53 prompts, of which one may not be retrieved.
    shelf = found["p", "Top1", "library"]
    assert (shelf.runs, shelf.steps, shelf.examples) == (
        52,
        Amount(52 * 600),
        Amount(52 * 600 * 8),
    )
    assert shelf.seconds == Amount(0, False)


@pytest.mark.parametrize(("old", "new"), [("digest=", "digest=0"), ("library=synthetic", "library=nowhere")])
def test_a_library_that_is_another_now_or_gone_is_not_known(of_before, old, new):
    facts, records = read_study(of_before)
    changed = []
    for row in records:
        assert row.result is not None
        changed.append(with_result(row, recipe=[word.replace(old, new) for word in row.result.recipe]))
    assert changed != records
    assert by_part(read_costs(of_before, facts, changed))["p", "Top1", "library"].examples == Amount(0, False)
