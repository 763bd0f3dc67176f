"""From results to tables, against numbers worked out by hand."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest

from mpt.errors import UserError
from mpt.files import write_json
from mpt.study.report import write_report
from mpt.study.results import Record
from mpt.study.tables import choose, gains, target_gains, target_scores

#           PT           MTL           (score on target a, score on target b)
BY_SEED = {13: ((0.50, 0.40), (0.75, 0.50)), 21: ((0.80, 0.20), (0.60, 0.25))}


def record(method, target, seed, score, dev=0.5, rate=None) -> Record:
    result = {
        "metric": "ACC",
        "score": score,
        "dev_score": dev,
        "seconds": 2.0,
        "device": "cpu",
        "versions": {"torch": "2"},
    }
    return Record(f"{method}/{target}-{seed}-{rate}", method, "downstream", target, seed, rate, result)


@pytest.fixture
def records() -> list[Record]:
    rows = []
    for seed, (pt, mtl) in BY_SEED.items():
        for method, scores in (("PT", pt), ("MTL", mtl)):
            rows += [record(method, target, seed, score) for target, score in zip("ab", scores, strict=True)]
    return rows


def test_arg_is_the_mean_over_seeds_of_the_mean_over_targets(records):
    (row,) = gains(choose(records), "PT")
    # seed 13: a (.75-.5)/.5 = 50 %, b (.5-.4)/.4 = 25 %, mean 37.5; seed 21: a -25 %, b +25 %, mean 0.
    assert row.by_seed == pytest.approx({13: 37.5, 21: 0.0})
    assert row.mean == pytest.approx(18.75)
    assert row.std == pytest.approx(37.5 / math.sqrt(2))  # sample deviation of two numbers
    assert (row.method, row.targets, row.seeds) == ("MTL", 2, 2)


def test_gains_and_scores_of_a_target_are_taken_over_seeds(records):
    scores = choose(records)
    assert target_gains(scores, "PT")["MTL"]["a"] == pytest.approx((12.5, 75 / math.sqrt(2)))
    assert target_scores(scores)["PT", "b"] == pytest.approx((30.0, 20 / math.sqrt(2)))


def test_the_rate_is_chosen_on_dev_the_first_of_equals_and_test_has_no_say():
    rows = [
        record("PT", "a", 13, score=0.2, dev=0.6, rate=0.5),
        record("PT", "a", 13, score=0.9, dev=0.6, rate=0.4),
        record("PT", "a", 13, score=1.0, dev=0.5, rate=0.3),
        Record("PT/a-13-0.2", "PT", "downstream", "a", 13, 0.2),  # failed
    ]
    (chosen,) = choose(rows)
    assert (chosen.learning_rate, chosen.score, chosen.folder) == (0.5, 0.2, "PT/a-13-0.5")


def test_a_baseline_of_zero_leaves_its_target_out_of_that_seed(records):
    zero = [r if r.key != "PT/b-13-None" else record("PT", "b", 13, 0.0) for r in records]
    (row,) = gains(choose(zero), "PT")
    assert row.by_seed == pytest.approx({13: 50.0, 21: 0.0}) and row.targets == 2
    nothing = [record(m, "a", 13, s) for m, s in (("PT", 0.0), ("MTL", 0.5))]
    (row,) = gains(choose(nothing), "PT")
    assert math.isnan(row.mean) and (row.targets, row.seeds) == (0, 0)


def test_a_missing_run_leaves_its_target_out_of_that_seed(records):
    (row,) = gains(choose([r for r in records if r.key != "MTL/a-13-None"]), "PT")
    assert row.by_seed == pytest.approx({13: 25.0, 21: 0.0})


def write_folder(out: Path, records: list[Record], **facts: object) -> None:
    content = {
        "name": "hand",
        "file": "hand.yaml",
        "backbone": "mpt-tiny",
        "root": "synthetic",
        "partition": "p",
        "baseline": "PT",
        "methods": ["PT", "MTL", "FT"],
        "targets": ["a", "b"],
        "seeds": [13, 21],
    }
    names = ("key", "method", "stage", "target", "seed", "learning_rate")
    runs = [{name: getattr(record, name) for name in names} for record in records]
    write_json(out / "study.json", {**content, **facts, "runs": runs})
    for row in records:
        if row.result is not None:
            write_json(out / row.key / "result.json", row.result)


def test_the_report_of_a_folder(records, tmp_path):
    failed = Record("FT/a-13", "FT", "downstream", "a", 13, None)
    write_folder(tmp_path, [*records, failed])
    write_json(tmp_path / "FT" / "a-13" / "failed.json", {"reason": "no memory"})
    write_report(tmp_path)
    folder = tmp_path / "report"
    with (folder / "arg.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["method", "arg_mean", "arg_std", "targets", "seeds"]
    assert [row["method"] for row in rows] == ["MTL"]
    assert float(rows[0]["arg_mean"]) == pytest.approx(18.75)
    assert float(rows[0]["arg_std"]) == pytest.approx(26.5165, abs=1e-4)
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 8
    assert {(row["method"], row["target"], row["seed"]): float(row["score"]) for row in scores} == {
        (r.method, r.target, str(r.seed)): r.result["score"] for r in records
    }
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| b | ACC | 30.0 ± 14.1 | 37.5 ± 17.7 | missing |" in text
    # 18.75, rounded either way
    assert re.search(
        r"\| \*\*ARG \(%\)\*\* \|  \| \*\*baseline\*\* \| \*\*\+18\.[78] ± 26\.5\*\* \| \*\*missing\*\* \|",
        text,
    )
    assert "`FT/a-13`: no memory" in text and "synthetic" in text and "mpt study run hand.yaml" in text
    png = (folder / "relative_gain.png").read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 10_000


def test_a_report_before_any_result_says_what_is_missing(tmp_path):
    write_folder(tmp_path, [Record("PT/a-13", "PT", "downstream", "a", 13, None)])
    report = write_report(tmp_path)
    assert report.missing == [("PT/a-13", "not run yet")]
    assert (tmp_path / "report" / "arg.csv").read_text() == "method,arg_mean,arg_std,targets,seeds\n"
    assert not (tmp_path / "report" / "relative_gain.png").exists()


def test_real_data_is_not_called_synthetic(records, tmp_path):
    write_folder(tmp_path, records, root="fewshot")
    write_report(tmp_path)
    assert "ynthetic" not in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match="no study's folder"):
        write_report(tmp_path)
