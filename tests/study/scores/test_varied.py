"""Scores against an option that varies, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from support.by_hand import record

from mpt.study.report.varied import draw_varied, varied_table
from mpt.study.scores.scores import choose
from mpt.study.scores.varied import Varied, VariedScore, varied_scores

OF = [Varied("A-1", "A", "length", 1), Varied("A-5", "A", "length", 5), Varied("B-1", "B", "length", 1)]
SCORES = {"A-1": (0.5, 0.7, 0.3, 0.5), "A-5": (0.9, 0.9, 0.9, 0.9), "B-1": (0.2, 0.4, 0.6, 0.8)}


def scores() -> list:
    places = [(target, seed) for target in "ab" for seed in (13, 21)]
    return choose(
        [record(m, *place, score) for m, own in SCORES.items() for place, score in zip(places, own, strict=True)]
    )


def test_the_mean_is_over_targets_and_the_deviation_over_seeds(tmp_path):
    rows = varied_scores(OF, scores())
    # by seed the means over targets are 0.4 and 0.6
    assert [(r.family, r.value, round(r.mean, 6), round(r.std, 4)) for r in rows] == [
        ("A", 1, 50, 14.1421),
        ("A", 5, 90, 0),
        ("B", 1, 50, 14.1421),
    ]
    table = varied_table(rows)
    assert table.head == ["length", "1", "5"]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["A", "50.0 ± 14.1", "90.0 ± 0.0"],
        ["B", "50.0 ± 14.1", "missing"],
    ]
    assert (0, 2) in table.bold and (1, 2) not in table.bold
    draw_varied(tmp_path / "v.png", rows, "title", "")
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_a_method_without_all_its_scores_is_left_out():
    some = [row for row in scores() if (row.method, row.target, row.seed) != ("A-5", "b", 21)]
    assert [(row.family, row.value) for row in varied_scores(OF, some)] == [("A", 1), ("B", 1)]
    assert varied_scores([], scores()) == []
    assert isinstance(replace(varied_scores(OF, scores())[0], mean=1.0), VariedScore)
