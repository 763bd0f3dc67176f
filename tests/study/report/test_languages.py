"""A study whose runs answer tasks in other languages: what they measured stands in results, tables and files."""

from __future__ import annotations

import csv
import json
import statistics
from html import escape

import pytest
from support.study_command import study
from support.toy import json_lines
from support.toy_study import write_study

from mpt.study.report.contents import Section, build_report
from mpt.study.report.languages import language_tables
from mpt.study.scores.languages import Measured
from mpt.study.scores.scores import Score
from mpt.study.spec.settings import Setting

pytestmark = pytest.mark.long


def test_the_measures_of_each_method(tmp_path, model_folder):
    changes = {
        "seeds": [13, 21],
        "targets": ["superglue-cb"],
        "overrides": {
            "trainer.max_steps": 4,
            "trainer.val_check_interval": 2,
            "trainer.accelerator": "cpu",
            "model.backbone_options.max_input_length": 16,
            "model.backbone_options.max_target_length": 2,
            "trainer.callbacks+": "OtherLanguages",
            "trainer.callbacks.tasks": {"emo": "de"},
        },
        "baseline": "PT-3",
        "methods": {"PT": {"downstream": {"config": "prompt_tuning", "vary": {"model.prompt_length": [3, 1]}}}},
    }
    file = write_study(tmp_path, model_folder("t5"), {"name": "toy", **changes})
    out = tmp_path / "out"
    code, _, err = study("run", file, "--out", out, "--workers", "1")
    assert code == 0, err
    with (out / "report" / "languages.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    runs = [("PT-3", "13"), ("PT-3", "21"), ("PT-1", "13"), ("PT-1", "21")]
    metric = rows[0]["measure"]
    wanted = [(*run, "emo", name) for run in runs for name in (metric, "LID_de", "LID_en", "ASCII", "empty")]
    assert [(row["method"], row["seed"], row["task"], row["measure"]) for row in rows] == wanted
    for row in rows:
        result = json.loads((out / row["folder"] / "result.json").read_text())
        assert result["measures"][f"emo/{row['measure']}"] == pytest.approx(float(row["value"]))
        assert f"test/emo/{row['measure']}" in (out / row["folder"] / "metrics.jsonl").read_text()
    with (out / "report" / "language_curves.csv").open() as lines:
        points = list(csv.DictReader(lines))
    assert [(row["method"], row["measure"], row["step"]) for row in points] == [
        (method, name, step)
        for method in ("PT-3", "PT-1")
        for name in (metric, "LID_de", "LID_en", "ASCII", "empty")
        for step in ("2", "4")
    ]
    for point in points:
        evaluations = [
            line[f"dev/emo/{point['measure']}"]
            for seed in ("13", "21")
            for line in json_lines(out / point["method"] / f"superglue-cb-{seed}" / "metrics.jsonl")
            if line["step"] == int(point["step"]) and f"dev/emo/{point['measure']}" in line
        ]
        assert len(evaluations) == 2
        assert [float(point["mean"]), float(point["std"])] == pytest.approx(
            [statistics.fmean(evaluations), statistics.stdev(evaluations)], abs=2e-6
        )
    assert all((out / "report" / name).stat().st_size > 1000 for name in ("languages.png", "capacity.png"))
    section = build_report(out).sections[0]
    for (target, task, measure), drawn in section.capacity.items():
        assert (target, task) == ("superglue-cb", "emo")
        for one in drawn:
            own = [100 * float(row["value"]) for row in rows if row["method"] == f"PT-{one.value:g}"]
            own = own[[row["measure"] for row in rows[:5]].index(measure) :: 5]
            assert (one.mean, one.std) == pytest.approx((statistics.fmean(own), statistics.stdev(own)))
    samples = (out / "report" / "languages.html").read_text()
    kept = json_lines(out / "PT-1" / "superglue-cb-13" / "languages.jsonl")
    assert samples.count("<table>") == 3 and all(escape(line["input"]) in samples for line in kept)
    page = (out / "report" / "report.md").read_text()
    assert "## In other languages" in page and "### emo" in page and "| PT-3 |" in page.split("### emo")[1]


def test_several_upstream_seeds_of_a_draw_count_as_their_mean():
    runs = [Score("MTL", "a", 13, "ACC", 0.5, None, None, f"MTL/a-13-up{up}", upstream_seed=up) for up in (1, 2)]
    rows = [Measured(run, "b", "ASCII", value) for run, value in zip(runs, (0.0, 1.0), strict=True)]
    section = Section(Setting("p", "p.yaml", ("a",), ("s",)), [], [], [], measured=rows)
    ((task, table),) = language_tables(section)
    assert (task, [list(map(str, row)) for row in table.rows]) == ("b", [["MTL", "50.0"]])
