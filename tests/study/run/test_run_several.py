"""A study of two partitions through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.changes import REMOVED, changed_file
from support.study_command import results, study
from support.toy_study import SEEDS, write_study_of_two
from support.wandb_file import read

pytestmark = pytest.mark.long

RUNS = 3 * 2 + 2 + 2 * 2 * 2 + 3 * 2  # PT, MTL upstream and downstream, FT


@pytest.fixture(scope="module")
def file(tmp_path_factory, model_folder) -> Path:
    return write_study_of_two(tmp_path_factory.mktemp("two"), model_folder("t5"))


@pytest.fixture(scope="module")
def done(file, tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("done") / "out"
    code, told, err = study("run", file, "--out", out, WANDB_MODE="offline")
    assert code == 0, err
    return out, told


def test_every_run_is_done_once_and_the_progress_names_partitions(done):
    out, told = done
    found = results(out)
    assert len(found) == RUNS and f"{RUNS} runs on first, second" in told
    assert {key for key, result in found.items() if result["partition"] == "second"} == {
        "MTL/second/upstream-13",
        *(f"MTL/second/{target}-{seed}" for target in ("ag_news", "emo") for seed in SEEDS),
    }
    assert {result["partition"] for result in found.values() if result["method"] != "MTL"} == {None}
    lines = [line for line in told.splitlines() if line.startswith("[")]
    assert sum(line.rstrip().endswith("  second") for line in lines) == 5
    words = found["MTL/second/ag_news-21"]["arguments"]
    (start,) = (word.partition("=")[2] for word in words if word.startswith("--model.init.path="))
    assert start == str(out / "MTL/second/upstream-13/prompt") and Path(start).is_dir()


def test_it_ends_with_methods_by_partitions_and_then_each_partition(done):
    out, told = done
    places = [told.index(text) for text in ("average relative gain", "first: test scores", "second: test scores")]
    assert places == sorted(places)
    head = (out / "report" / "arg.csv").read_text().splitlines()
    assert head[0].startswith("partition,method,arg,arg_std,")
    assert [row.split(",")[:2] for row in head[1:]] == [[p, m] for p in ("first", "second") for m in ("MTL", "FT")]


def test_wandb_tells_the_partitions_apart(done):
    out, _ = done
    head, config, _ = read(out / "MTL/second/ag_news-21")
    assert (head.run_group, head.job_type, head.display_name) == ("toy", "MTL", "MTL/second/ag_news-21")
    assert json.loads(config["partition"]) == "second"
    head, _, values = read(out / "report")
    assert {f"ARG/{p}/{m}" for p in ("first", "second") for m in ("MTL", "FT")} <= set(values)
    assert json.loads(values["scores.nrows"]) == 2 * 3 * 2 * 2


def test_run_again_does_nothing_and_the_report_is_the_same(done, file):
    out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}
    scores = (out / "report" / "scores.csv").read_text()
    code, told, _ = study("run", file, "--out", out)
    assert code == 0 and f"nothing to do: all {RUNS} runs are finished" in told
    (out / "report" / "scores.csv").unlink()
    assert study("report", out)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("result.json")} == before
    assert (out / "report" / "scores.csv").read_text() == scores


def test_a_failure_names_its_partition_and_leaves_the_other_alone(tmp_path, model_folder):
    file = write_study_of_two(tmp_path, model_folder("t5"))
    changed_file(file, {"seeds": [13], ("methods", "FT"): REMOVED})
    # A source of the first partition, a target of the second, which needs only seed 13's draw. It is read when its
    # upstream run starts.
    (tmp_path / "data" / "emo" / "emo_16_21_train.tsv").write_text("no tab\n")
    out = tmp_path / "out"
    code, told, err = study("run", file, "--out", out)
    assert code == 1, err
    assert set(results(out)) == {
        *(f"PT/{target}-13" for target in ("superglue-cb", "ag_news", "emo")),
        *(f"MTL/second/{name}-13" for name in ("upstream", "ag_news", "emo")),
    }
    assert "FAILED on first: not started: it needs MTL/first/upstream-13, which failed" in told
    assert "missing: MTL/first/upstream-13" in told and "FAILED on second" not in told
    page = (out / "report" / "report.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| MTL |"))
    assert row.split(" | ")[1] == "missing" and "missing" not in row.split(" | ")[2]
