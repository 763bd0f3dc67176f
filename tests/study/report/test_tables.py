"""Cells of the tables: what is bold, what is said where there is no number."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from support.by_hand import one_partition, record

from mpt.metrics.crossed import Estimate
from mpt.present.table import Measured, Table, p_value
from mpt.study.report.contents import Report, Section
from mpt.study.report.paper import Stated
from mpt.study.report.tables import arg_table, draw_table, interval, pace_table, score_table, sure_table
from mpt.study.report.text import page
from mpt.study.run.results import StudyFacts
from mpt.study.scores.convergence import SHARES, Convergence, Reached
from mpt.study.scores.gains import gains
from mpt.study.scores.scores import choose
from mpt.study.scores.significance import compare
from mpt.study.spec.settings import Setting

PLACE = Setting("p", "p", ("a", "b"), ("s",))
FACTS = StudyFacts("hand", "hand.yaml", "mpt-tiny", "synthetic", [PLACE], "PT", ["PT", "MTL", "FT", "X"], [13, 21])


@pytest.fixture
def section() -> Section:
    """MTL as in by_hand.py, +14.4 %, +5 points; FT +10 % everywhere; X has nothing."""
    ft = [record("FT", row.target, row.seed, 1.1 * row.result.score) for row in one_partition() if row.method == "PT"]
    scores = choose([*one_partition(), *ft])
    pairs = [("MTL", "PT"), ("FT", "PT"), ("FT", "MTL")]
    compared = [compare(scores, "PT", *pair) for pair in pairs]
    return Section(PLACE, scores, gains(scores, "PT"), compared, Convergence([], [], {}), {})


def bold(table: Table) -> set[tuple[str, str]]:
    """(first cell of the row, head of the column) of what is bold."""
    return {(str(table.rows[i][0]), table.head[j]) for i, j in table.bold}


def test_the_best_of_every_target_and_of_arg_is_bold(section):
    table = score_table(FACTS, section)
    # a: PT 65, MTL 67.5, FT 71.5; b: PT 30, MTL 37.5, FT 33
    points = "mean difference (points)"
    assert bold(table) == {("a (ACC)", "FT"), ("b (ACC)", "MTL"), ("ARG (%)", "MTL"), (points, "MTL")}
    assert [row[0] for row in table.rows] == ["a (ACC)", "b (ACC)", "ARG (%)", points] and table.rules == {2}
    assert table.rows[0][-1] == "missing" and table.rows[2][1] == "baseline" and table.rows[2][-1] == "missing"
    assert [str(cell) for cell in table.rows[3][1:]] == ["baseline", "+5.0", "+4.8", "missing"]


def test_of_many_methods_each_has_a_row(section):
    crowd = [f"X{i}" for i in range(6)]
    table = score_table(replace(FACTS, methods=[*FACTS.methods, *crowd]), section)
    points = "mean difference (points)"
    assert table.head == ["method", "a (ACC)", "b (ACC)", "ARG (%)", points] and len(table.rows) == 10
    assert [str(cell) for cell in table.rows[0]] == ["PT", "65.0 ± 21.2", "30.0 ± 14.1", "baseline", "baseline"]
    assert bold(table) == {("FT", "a (ACC)"), ("MTL", "b (ACC)"), ("MTL", "ARG (%)"), ("MTL", points)}


def test_a_method_with_fewer_scores_than_others_is_the_best_of_nothing_they_share(section):
    """X is best by far, of the one target in the one draw that it has; Y has both draws of a alone."""
    rows = [row for row in one_partition() if row.method == "PT"]
    more = [record("X", row.target, row.seed, 0.9) for row in rows if (row.target, row.seed) == ("b", 13)]
    more += [record("Y", row.target, row.seed, 0.8) for row in rows if row.target == "a"]
    scores = [*section.scores, *choose(more)]
    own = replace(section, scores=scores, gains=gains(scores, "PT"))
    facts = replace(FACTS, methods=[*FACTS.methods, "Y"])
    points = "mean difference (points)"
    best = {("a (ACC)", "Y"), ("b (ACC)", "MTL"), ("ARG (%)", "MTL"), (points, "MTL")}
    assert bold(score_table(facts, own)) == best
    report = Report(facts, [own], [], [])
    assert bold(arg_table(report)) == {("MTL", "p")}
    (told,) = [block for block in page(report, Path("out"), []) if isinstance(block, str) and "fewer scores" in block]
    assert "only where they have as many: X (1 of 4), Y (2 of 4)." in told
    assert not any("fewer" in str(block) for block in page(Report(FACTS, [section], [], []), Path("out"), []))


def test_equal_methods_are_both_the_best(section):
    twin = [replace(row, method="X") for row in section.scores if row.method == "MTL"]
    table = score_table(FACTS, replace(section, scores=[*section.scores, *twin]))
    assert {("b (ACC)", "MTL"), ("b (ACC)", "X")} <= bold(table)


def test_methods_by_settings_is_the_papers_second_table_with_its_numbers_below(section):
    report = Report(FACTS, [section, replace(section, stated={"FT": Stated(-3.0, "T5-Large", 3)})], [], [])
    table = arg_table(report)
    assert table.head == ["method", "p", "p"] and table.rules == {3}
    assert [[str(cell) for cell in row] for row in table.rows[2:]] == [
        ["X", "missing", "missing"],
        ["MTL, Qin et al.", "", ""],
        ["FT, Qin et al.", "", "-3.0"],
        ["X, Qin et al.", "", ""],
    ]
    assert table.bold == {(0, 1), (0, 2), (4, 2)}
    assert len(arg_table(Report(FACTS, [section], [], [])).rows) == 3


def test_how_sure_is_told_against_baseline_and_rival(section):
    sure = Estimate(5.0, 1.0, 9.0, 0.02)
    first, *others = section.comparisons
    own = replace(section, comparisons=[replace(first, arg=sure, points=sure, p_holm=0.04), *others])
    table = sure_table(Report(FACTS, [own], [], [], rival="MTL"), own)
    assert table.head == [
        "method",
        "against",
        "ARG difference (%)",
        "95 % interval",
        "p",
        "p (Holm)",
        "points",
        "95 % interval",
    ]
    assert [tuple(row[:2]) for row in table.rows] == [("MTL", "PT"), ("FT", "PT"), ("FT", "MTL")] and table.rules == {2}
    # Two targets of two draws are too few for an interval.
    assert table.rows[0][2:] == ["+5.0", "+1.0 to +9.0", "0.020", "0.040", "+5.0", "+1.0 to +9.0"]
    assert table.rows[1][2:] == ["+10.0", "", "", "", "+4.8", ""]


def test_upstream_seeds_that_a_comparison_leaves_out_are_named(section):
    first, *others = section.comparisons
    told = "MTL and PT are compared by the upstream seeds that both have; without 13, 21."
    for own, is_told in (([replace(first, left_out=(13, 21)), *others], True), (section.comparisons, False)):
        report = Report(FACTS, [replace(section, comparisons=own)], [], [])
        assert any(told in block for block in page(report, Path("out"), []) if isinstance(block, str)) == is_told


def test_what_no_row_has_is_no_column(section):
    table = sure_table(Report(FACTS, [section], [], [], rival="MTL"), section)
    assert table.head == ["method", "against", "ARG difference (%)", "points"]
    assert table.rows[1] == ["FT", "PT", "+10.0", "+4.8"]


def test_an_interval_is_told_from_end_to_end():
    assert interval(Estimate(1.0, -1.23, 3.45, 0.2)) == "-1.2 to +3.5"
    assert interval(Estimate(1.0, math.nan, math.nan, math.nan, why="too few")) == ""


def test_the_papers_number_stands_in_the_last_column(section):
    stated = {"MTL": Stated(8.51, "T5-Large", 2)}
    table = sure_table(Report(FACTS, [section], [], []), replace(section, stated=stated))
    assert table.head[-1] == "Qin et al., T5-Large"
    assert [str(row[-1]) for row in table.rows] == ["+8.5", "", ""]


def test_steps_that_are_not_reached_are_more_than_the_last(section):
    reached = [Reached("PT", share, 30, 4, 4) for share in SHARES]
    reached += [Reached("MTL", share, 10 if share < 0.9 else None, 1, 4) for share in SHARES]
    table = pace_table(FACTS, replace(section, convergence=Convergence([], reached, {"PT": 30, "MTL": 40})))
    assert table is not None and table.head[1:5] == ["50%", "80%", "90%", "100%"]
    assert table.rows == [["PT", "30", "30", "30", "30", "4 of 4"], ["MTL", "10", "10", "> 40", "> 40", "1 of 4"]]
    assert bold(table) == {("MTL", "50%"), ("MTL", "80%"), ("PT", "90%"), ("PT", "100%")}
    assert pace_table(FACTS, section) is None


def test_draws_are_told_one_by_one(section):
    only = replace(section, gains=[replace(section.gains[0], points_by_draw={13: 17.5})])
    assert draw_table(FACTS, only).rows == [["MTL", "+17.5", "missing", "2"]]


@pytest.mark.parametrize(
    ("p", "told"), [(0.0002, "< 0.001"), (0.0123, "0.012"), (0.1, "0.10"), (1.0, "1.00"), (math.nan, "")]
)
def test_p_is_never_told_as_zero(p, told):
    assert p_value(p) == told


def test_a_mean_without_deviation_stands_alone():
    assert str(Measured(71.24, 3.41)) == "71.2 ± 3.4" and str(Measured(2.0, math.nan, signed=True)) == "+2.0"
    assert str(Measured(math.nan, math.nan)) == "undefined"
