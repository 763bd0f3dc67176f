"""A vote by the likeliest labels, and one by what was written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.by_hand import record, with_result, write_curves, write_folder

from mpt.record.rows import Prediction, write_predictions
from mpt.study.report.contents import build_report

RIGHT = ("x", "y", "x", "y")
LABELS = (("x", "y", "x", "x"), ("x", "x", "x", "y"), ("y", "y", "x", "y"))
WRITTEN = (("x", "", "", "x"), ("", "", "", "y"), ("x", "", "y", "y"))


def test_each_votes_by_what_is_judged(tmp_path):
    records = [with_result(record("PT", "a", 13, 0.5), score_written=0.25)]
    for member, (labels, written) in enumerate(zip(LABELS, WRITTEN, strict=True)):
        run = replace(record("Vote", "a", 13, 0.75), key=f"Vote/a-13-member{member}")
        records.append(with_result(run, score_written=0.25))
        rows = zip(RIGHT, labels, written, strict=True)
        (tmp_path / run.key).mkdir(parents=True)
        write_predictions(
            tmp_path / run.key / "predictions.jsonl",
            [Prediction(str(row), [gold], label, None, text) for row, (gold, label, text) in enumerate(rows)],
        )
    facts = {"methods": ["PT", "Vote"], "seeds": [13], "ensembles": {"Vote": 3}}
    write_folder(tmp_path, records, **facts)
    (section,) = build_report(tmp_path).sections
    assert section.written is not None
    scores = [
        {row.method: row.score for row in found.scores if row.target == "a"} for found in (section, section.written)
    ]
    # By label all four are right; what is written is x for the first and y for the last, and blank for the rest.
    assert scores == [{"PT": 0.5, "Vote": 1.0}, {"PT": 0.25, "Vote": 0.5}]


@pytest.mark.parametrize("vote", [(), ("MTL",)])
def test_the_curve_of_one_prompt_is_not_the_votes(tmp_path, vote):
    write_curves(tmp_path, {("PT", "a", 13): [0.4, 0.5], ("MTL", "a", 13): [0.5, 0.6]})
    rows = [record("PT", "a", 13, 0.5)]
    own = record("MTL", "a", 13, 0.6)
    if vote:
        before, own = own, replace(own, key="MTL/a-13-member0")
        (tmp_path / before.key).rename(tmp_path / own.key)
        rows.append(replace(own, key="MTL/a-13-member1"))
    rows.append(own)
    for row in rows:
        (tmp_path / row.key).mkdir(parents=True, exist_ok=True)
        write_predictions(tmp_path / row.key / "predictions.jsonl", [Prediction("i", ["x"], "x")])
    write_folder(tmp_path, rows, methods=["PT", "MTL"], seeds=[13], ensembles=dict.fromkeys(vote, 2))
    (section,) = build_report(tmp_path).sections
    assert {point.method for point in section.convergence.points} == {"PT", "MTL"} - {*vote}
