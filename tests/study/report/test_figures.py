"""Which figures a report has, and what is in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from support.by_hand import one_partition, record, write_folder

from mpt.present.bars import _lines
from mpt.present.figure_style import BASELINE, COLOURS, colours
from mpt.study.report.figures import _title
from mpt.study.report.write import write_report
from mpt.study.run.results import RunRecord, StudyFacts
from mpt.study.spec.settings import Setting


def evaluations(folder: Path, records: list[RunRecord]) -> None:
    for row in records:
        lines = [{"step": step, "dev/score": value} for step, value in ((10, 0.2), (20, 0.5))]
        (folder / row.key / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def has(path: Path, colour: str) -> bool:
    """Whether a good part of a picture is of a colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(255 * matplotlib.image.imread(path)[..., :3] - wanted).max(axis=-1) < 2).sum()) > 500


@pytest.mark.long
def test_runs_that_left_evaluations_have_their_curves(tmp_path):
    records = one_partition()
    write_folder(tmp_path, records)
    evaluations(tmp_path, records)
    report = write_report(tmp_path)
    assert "convergence.png" in report.files
    assert has(tmp_path / "report" / "convergence.png", BASELINE)
    rows = (tmp_path / "report" / "convergence.csv").read_text().splitlines()
    assert rows[0] == "partition,method,share,step,runs_there,runs" and rows[1] == "p,PT,0.5,20,4,4"
    curves = (tmp_path / "report" / "curves.csv").read_text().splitlines()
    assert curves[1:3] == ["p,PT,10,0.200000,0.000000", "p,PT,20,0.500000,0.000000"]


def test_a_method_has_one_colour_in_all_figures_whether_or_not_it_has_results(tmp_path):
    # MTL, the first of the others, has none.
    records = [record(m, "a", seed, 0.5 + 0.1 * (m == "FT")) for m in ("PT", "FT") for seed in (13, 21)]
    write_folder(tmp_path, records)
    write_report(tmp_path)
    for name in ("relative_gain.png", "scores.png"):
        picture = tmp_path / "report" / name
        # The legend alone shows MTL's; a patch of it is larger than 500 pixels.
        assert has(picture, COLOURS[1]) and has(picture, COLOURS[0])
        assert has(picture, BASELINE) == (name == "scores.png")
    assert colours(["A", "PT", "B"], "PT") == {"PT": BASELINE, "A": COLOURS[0], "B": COLOURS[1]}


@pytest.mark.long
def test_a_search_has_a_bar_for_each_method_and_curves_of_the_best(tmp_path):
    methods = ["PT", *(f"M{i}" for i in range(12))]
    records = [record(m, t, 13, 0.4 + 0.01 * i) for i, m in enumerate(methods) for t in "ab"]
    write_folder(tmp_path, records, methods=methods, seeds=[13])
    evaluations(tmp_path, records)
    assert {name for name in write_report(tmp_path).files if name.endswith(".png")} == {
        "relative_gain.png",
        "convergence.png",
    }


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("syn-find-hour", "syn-find-hour"),
        ("blimp-sentential_negation_npi_licensor_present", "blimp-sentential_\nnegation_npi_licensor_\npresent"),
        ("paws\n(ACC)", "paws\n(ACC)"),
        ("a" * 30, "a" * 30),
    ],
)
def test_long_names_are_broken_where_they_are_joined(name, lines):
    assert _lines(name) == lines


def test_a_title_says_nothing_of_what_a_file_of_scores_does_not_tell():
    facts = StudyFacts("s", "s.csv", "", "", [Setting("p", "p", ("a",), ())], "PT", ["PT"], [13])
    assert _title(facts, None, "test scores") == "s: test scores"
    assert _title(replace(facts, backbone="b", root="x/y"), None, "test scores") == "s: test scores\nb, data in y"
