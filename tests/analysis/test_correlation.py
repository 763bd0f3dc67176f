"""Correlations against scipy and numpy, on points worked out by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from scipy import stats
from support.all_tried import BASE, SEEDS, SOURCES, TASKS, TRIED, write_tried

from mpt.analysis.correlation import (
    Correlation,
    correlation_table,
    correlations,
    draw_correlations,
    pearson,
    ranking,
    summary,
)
from mpt.analysis.transfers import read_transfers


@pytest.fixture(scope="module")
def transfers(tmp_path_factory):
    return read_transfers(write_tried(tmp_path_factory.mktemp("tried")).study)[0]


def test_r_and_p_are_those_of_scipy_over_prompts_and_over_tasks(transfers):
    for row in correlations(transfers):
        base = np.mean([BASE[row.target, seed] for seed in SEEDS])
        points = {source: np.mean(TRIED[row.target][source], axis=0) for source in SOURCES}
        y = [(points[source][0] - base) / (1 - base) for source in SOURCES]
        expected = stats.pearsonr([points[source][2] for source in SOURCES], y)
        assert (row.r, row.p, row.sources) == pytest.approx((*expected, 5))

        tasks = {
            t: np.mean([points[s] for s in SOURCES if TASKS[s] == t], axis=0) for t in ("s-a", "s-b", "s-c", "s-d")
        }
        expected = stats.linregress([p[2] for p in tasks.values()], [p[0] for p in tasks.values()])
        assert (row.task_r, row.task_p, row.tasks) == pytest.approx((expected.rvalue, expected.pvalue, 4))


def test_pearson_by_its_definition():
    rng = random.Random(2)
    x = [rng.gauss(0, 1) for _ in range(12)]
    y = [0.4 * value + rng.gauss(0, 1) for value in x]
    mx, my = sum(x) / 12, sum(y) / 12
    r = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    r /= math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))
    p = 2 * stats.t.sf(abs(r) * math.sqrt(10 / (1 - r * r)), 10)
    assert pearson([*x, math.nan], [*y, 1.0]) == pytest.approx((r, p, 12), abs=1e-9)


def test_r_and_the_line_are_those_of_numpy(transfers, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("mpt.analysis.correlation.save", lambda figure, _: figures.append(figure))
    draw_correlations(tmp_path / "some.png", transfers)
    for row, panel in zip(correlations(transfers), figures[0].axes, strict=True):
        x, y = np.array(panel.collections[0].get_offsets()).T
        assert row.r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
        ends, heights = panel.lines[1].get_data()
        assert list(ends) == [x.min(), x.max()]
        assert list(heights) == pytest.approx(list(np.polyval(np.polyfit(x, y, 1), ends)), rel=1e-12)


@pytest.mark.parametrize(("x", "y"), [([1.0, 2.0], [1.0, 3.0]), ([0.5] * 4, [1.0, 2.0, 3.0, 4.0]), ([], [])])
def test_too_few_or_equal_points_have_no_correlation(x, y):
    r, p, count = pearson(x, y)
    assert math.isnan(r) and math.isnan(p) and count == len(x)


def test_a_target_that_the_baseline_leaves_no_errors_on_has_no_correlation(transfers, tmp_path):
    perfect = replace(transfers, base={place: 1.0 if place[0] == "t" else score for place, score in BASE.items()})
    t, u = correlations(perfect)
    assert math.isnan(t.r) and t.sources == 0 and u.sources == 5
    draw_correlations(tmp_path / "some.png", perfect)
    table = correlation_table([t, u])
    assert table.rows[0][2:5] == ["undefined", "", "0"]


def test_the_summary_counts_targets_by_tasks():
    rows = [
        Correlation("a", "subspace", 0.8, 0.01, 9, 0.9, 0.02, 5),
        Correlation("b", "subspace", 0.6, 0.01, 9, 0.5, 0.3, 5),
        Correlation("c", "subspace", -0.8, 0.01, 9, -0.9, 0.03, 5),
        Correlation("d", "subspace", math.nan, math.nan, 0, math.nan, math.nan, 0),
    ]
    said = summary(rows)
    assert said.startswith("subspace: mean r over 3 targets +0.20; positive with p < 0.05 over source tasks on 1 (a); ")
    assert "negative on 1 (c)" in said
    table = correlation_table([*rows, replace(rows[0], by="per_token")])
    assert table.bold == {(0, 5), (2, 5), (4, 5)} and table.rules == {4}
    assert summary(rows[3:]) == "subspace: no correlation is defined."


@pytest.mark.long
def test_there_is_a_panel_for_each_target(transfers, tmp_path):
    draw_correlations(tmp_path / "two.png", transfers)
    five = [replace(t, target=f"{t.target}{i}") for t in transfers.trials for i in range(3)]
    base = {(f"{target}{i}", seed): score for (target, seed), score in BASE.items() for i in range(3)}
    targets = list(dict.fromkeys(t.target for t in five))
    draw_correlations(tmp_path / "six.png", replace(transfers, trials=five, base=base, targets=targets))
    two, six = (matplotlib.image.imread(tmp_path / name) for name in ("two.png", "six.png"))
    assert six.shape[0] > 1.5 * two.shape[0] and six.shape[1] > two.shape[1]


def test_measures_are_ranked_on_what_all_of_them_are_defined_on(transfers):
    """One that is defined on target u alone, and not for one source there, is compared with the other on these."""
    lost = next(source for source in SOURCES if [TASKS[other] for other in SOURCES].count(TASKS[source]) > 1)
    table = {}
    for row in transfers.trials:
        table[row.target, row.seed, row.source] = math.nan if row.target == "t" or row.source == lost else row.score
    part = transfers.with_similarities("part", table)
    kept = [source for source in SOURCES if source != lost]
    points = {source: np.mean(TRIED["u"][source], axis=0) for source in kept}
    tasks = sorted({TASKS[source] for source in kept})
    means = [np.mean([points[source] for source in kept if TASKS[source] == task], axis=0) for task in tasks]
    scores, similarities = [one[0] for one in means], [one[2] for one in means]
    wanted = stats.pearsonr(similarities, scores).statistic
    told = ranking([transfers, part])
    assert "on the 1 of 2 targets and 4 of 5 prompts that every measure is defined on" in told
    assert told.endswith(f": part +1.00, {transfers.by} {wanted:+.2f}.")
    assert ranking([transfers]) == ""
    nowhere = transfers.with_similarities("nowhere", dict.fromkeys(table, math.nan))
    assert ranking([transfers, nowhere]) == ""
    assert ranking([transfers, part, nowhere]) == told.replace("defined on:", "defined on (nowhere is on none):")
    apart = dict.fromkeys(table, math.nan)
    apart |= {(row.target, row.seed, row.source): row.score for row in transfers.trials if row.target == "t"}
    assert "no target on which each has a correlation" in ranking([part, transfers.with_similarities("apart", apart)])
