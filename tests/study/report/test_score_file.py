"""A report from scores alone, and what is wrong with files that are none."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import pytest
from support.by_hand import one_partition
from support.changes import replaced_in
from support.paths import ROOT
from support.toy import Mpt

HEAD = "partition,method,target,draw,test_score"
PAPER = ROOT / "experiments/results/qin2023/scores.csv"


@pytest.fixture
def mpt(capsys) -> Mpt:
    return Mpt(capsys)


@pytest.fixture
def file(tmp_path) -> Path:
    rows = [f"p,{row.method},{row.target},{row.seed},{row.result.score}" for row in one_partition()]
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return path


def test_scores_alone_make_the_report_that_their_study_would(file, mpt, tmp_path):
    out = tmp_path / "out"
    ended = mpt("study", "report", "--scores", str(file), "--baseline", "PT", "--out", str(out))
    assert ended.code == 0 and "report in" in ended.out
    (row,) = csv.DictReader((out / "arg.csv").read_text().splitlines())
    assert list(row)[:3] == ["partition", "method", "arg"]
    assert (row["partition"], row["method"], float(row["points"])) == ("p", "MTL", 5)
    assert float(row["arg"]) == pytest.approx(100 * (0.025 / 0.65 + 0.075 / 0.3) / 2, abs=1e-4)
    text = (out / "report.md").read_text()
    assert "| b | 30.0 ± 14.1 | **37.5 ± 17.7** |" in text and "How fast" not in text and "backbone" not in text
    assert f"mpt study report --scores {file} --baseline PT --against MTL --out {out}" in text
    assert {"report.html", "arg.tex", "relative_gain.png"} <= {path.name for path in out.iterdir()}


def test_a_column_of_upstream_seeds_makes_them_a_factor(file, mpt, tmp_path):
    head, *rows = file.read_text().splitlines()
    twice = [f"{row},{seed}" for row in rows for seed in ([7, 8] if ",MTL," in row else [""])]
    file.write_text("\n".join([f"{head},upstream_seed", *twice]))
    assert mpt("study", "report", "--scores", str(file), "--out", str(tmp_path / "out")).code == 0
    (row,) = csv.DictReader((tmp_path / "out" / "significance.csv").read_text().splitlines())
    assert (row["upstream_seeds"], float(row["points"])) == ("2", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its first line must name the columns partition, method, target, draw, test_score"),
        ("partition,method,target,seed,score\n", "it is partition,method,target,seed,score"),
        (f"{HEAD}\n", "holds no scores"),
        (f"{HEAD}\np,PT,a,13\n", "line 2: as many values as the first line has columns"),
        (f"{HEAD}\np,PT,a,13,0.5,6\n", "line 2: as many values"),
        (f"{HEAD}\np,PT,a,x,0.5\n", "line 2: draw must be a whole number, not 'x'"),
        (f"{HEAD}\np,PT,,13,0.5\n", "line 2: target is empty"),
        (
            f"{HEAD}\np,PT,a,13,52.5\n",
            "line 2: test_score must be a fraction from 0 to 1 (a correlation from -1), not '52",
        ),
        (f"{HEAD}\np,PT,a,13,nan\n", "not 'nan'"),
        (f"{HEAD}\np,PT,a,13,0.5\np,PT,a,13,0.6\n", "line 3: a second score of PT on a, draw 13, in p"),
        (f"{HEAD}\np,MTL,a,13,0.5\n", "--baseline PT: no method"),
        (f"{HEAD}\np,PT,a,13,0.5\nq,MTL,a,13,0.5\n", "the partition q has no scores of the baseline PT"),
        (f'{HEAD}\np,PT,"a"b,13,0.5\n', "line 2"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(text, said, mpt, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    ended = mpt("study", "report", "--scores", str(path), "--out", str(tmp_path / "out"))
    assert ended.code == 2 and said in ended.err and str(path) in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(file, mpt, tmp_path):
    for out in (file, file / "below"):
        ended = mpt("study", "report", "--scores", str(file), "--out", str(out))
        assert ended.code == 2 and f"cannot write to the folder {out}" in ended.err
    assert file.read_text().startswith(HEAD)


def test_a_file_that_no_report_made_is_left_alone(file, mpt, tmp_path):
    """The file that is read, or a page of the user's own; a report of ours is made anew."""
    own = file.rename(tmp_path / "arg.csv")
    before = own.read_text()
    words = ["study", "report", "--scores", str(own), "--out"]
    ended = mpt(*words, str(tmp_path))
    assert ended.code == 2 and f"{own} is there already, and nothing says that mpt made it" in ended.err
    assert own.read_text() == before and [path.name for path in tmp_path.iterdir()] == ["arg.csv"]
    out = tmp_path / "out"
    assert mpt(*words, str(out)).code == 0 == mpt(*words, str(out)).code
    (out / "report.md").unlink()
    assert mpt(*words, str(out)).code == 0 and "# out" in (out / "report.md").read_text()
    assert not list(out.glob(".new-*"))


def test_a_partition_that_is_called_as_a_file_of_the_report_is_refused_and_nothing_is_left(file, mpt, tmp_path):
    rows = file.read_text().splitlines()[1:]
    file.write_text("\n".join([HEAD, *rows, *(row.replace("p,", "report.html,", 1) for row in rows)]))
    ended = mpt("study", "report", "--scores", str(file), "--out", str(tmp_path / "out"))
    assert ended.code == 2 and f"{file}: report.html is a file of the report; give that setting another" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_report_that_fails_in_the_middle_leaves_the_old_one(file, mpt, tmp_path, monkeypatch):
    out = tmp_path / "out"
    words = ["study", "report", "--scores", str(file), "--out", str(out)]
    assert mpt(*words).code == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    monkeypatch.setattr("mpt.study.report.write.html_page", lambda *_: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):
        assert mpt(*words).code != 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_name_with_a_bar_stays_one_cell(file, mpt, tmp_path):
    replaced_in(file, ",MTL,", ",M|L,")
    assert mpt("study", "report", "--scores", str(file), "--out", str(tmp_path / "out")).code == 0
    assert "| target | PT | M\\|L |" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "takes the folder of a study, or --scores FILE and --out DIR"),
        (["x", "--scores", "y", "--out", "z"], "takes the folder of a study, or --scores"),
        (["--scores", "y.csv"], "--scores needs --out DIR"),
        (["--scores", "y.csv", "--out", "z"], "--scores y.csv cannot be read"),
        (["x", "--baseline", "PT"], "--baseline and --out go with --scores"),
    ],
)
def test_options_that_do_not_go_together(words, said, mpt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = mpt("study", "report", *words)
    assert ended.code == 2 and said in ended.err


@pytest.mark.long
def test_the_papers_scores_are_committed_as_a_report_makes_them(mpt, tmp_path, monkeypatch):
    """The published re-analysis is what the command makes today; its figures, most of the time, are left out."""
    monkeypatch.setattr("mpt.study.report.write.draw_all", lambda report, folder: [])
    words = ["--scores", str(PAPER), "--baseline", "PT", "--out", str(tmp_path / "out")]
    assert mpt("study", "report", *words).code == 0
    for name in ("arg.csv", "significance.csv", "relative_gain.csv"):
        assert (tmp_path / "out" / name).read_text() == (PAPER.parent / name).read_text(), name
