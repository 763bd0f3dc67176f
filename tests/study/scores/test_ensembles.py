"""A vote by the likeliest labels, and one by what was written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.by_hand import record, with_result, write_curves, write_folder

from mpt.record.rows import Prediction, write_predictions
from mpt.study.report.contents import build_report
from mpt.study.report.ensembles import ensemble_table
from mpt.util.errors import UserError

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


def test_alone_and_together_deviate_over_the_draws(tmp_path):
    """Two upstream seeds of a draw count as their mean."""
    records = []
    for seed, scores in ((13, (0.2, 0.8)), (21, (0.3, 0.7))):
        for upstream, score in zip((1, 2), scores, strict=True):
            for member in range(2):
                run = record("Vote", "a", seed, score)
                run = replace(run, key=f"Vote/a-{seed}-up{upstream}-member{member}", upstream_seed=upstream)
                right = round(10 * score)
                rows = [Prediction(str(row), ["x"], "x" if row < right else "y") for row in range(10)]
                (tmp_path / run.key).mkdir(parents=True)
                write_predictions(tmp_path / run.key / "predictions.jsonl", rows)
                records.append(run)
    records += [record("PT", "a", seed, 0.5) for seed in (13, 21)]
    write_folder(tmp_path, records, methods=["PT", "Vote"], ensembles={"Vote": 2})
    (section,) = build_report(tmp_path).sections
    first, mean = ensemble_table(section.ensembles).rows
    assert [(cell.mean, cell.std) for cell in first[2:]] == [(cell.mean, cell.std) for cell in mean[2:]]
    assert [cell.mean for cell in first[2:]] == pytest.approx([50] * 3)
    assert [cell.std for cell in first[2:]] == pytest.approx([0] * 3, abs=1e-9)


def test_texts_of_other_scripts_are_cut_by_the_backbones_tokenizer(tmp_path):
    records = [with_result(record("PT", "a", 13, 0.5), metric="SP-ROUGE")]
    for member in range(2):
        run = with_result(replace(record("Vote", "a", 13, 0.75), key=f"Vote/a-13-member{member}"), metric="SP-ROUGE")
        (tmp_path / run.key).mkdir(parents=True)
        write_predictions(tmp_path / run.key / "predictions.jsonl", [Prediction("1", ["the cat"], "the cat")])
        records.append(run)
    write_folder(tmp_path, records, methods=["PT", "Vote"], seeds=[13], ensembles={"Vote": 2})
    (section,) = build_report(tmp_path).sections
    assert {row.method: row.score for row in section.scores}["Vote"] == 1
    (tmp_path / "Vote/a-13-member0/predictions.jsonl").write_text("")
    (tmp_path / "Vote/a-13-member1/predictions.jsonl").write_text("")
    with pytest.raises(UserError, match="is empty; delete"):
        build_report(tmp_path)
