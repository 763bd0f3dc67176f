"""Whole studies through the real command line, in a process of its own, as a user starts them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.changes import REMOVED, changed, changed_file
from support.seven_runs import wait_for
from support.study_command import results, start, study
from support.toy_study import RATES, SEEDS, STUDY, TARGETS, write_study
from support.wandb_file import artifacts, read

from mpt.study.plan.grid import plan
from mpt.study.run.grid import unfinished
from mpt.study.run.worker import check
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError


@pytest.fixture(scope="module")
def file(tmp_path_factory, model_folder) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), model_folder("t5"))


@pytest.fixture(scope="module")
def done(file, tmp_path_factory) -> tuple[Path, str]:
    """The study, run without disturbance."""
    out = tmp_path_factory.mktemp("done") / "out"
    code, told, err = study("run", file, "--out", out, WANDB_MODE="offline")
    assert code == 0, err
    return out, told


@pytest.mark.long
def test_a_study_ends_with_a_table_and_a_folder_per_run(done, file):
    out, told = done
    found = results(out)
    assert len(found) == 2 + 8 + 4 + 4
    assert "18 runs to do" in told and "ARG (%)" in told and "report.md" in told
    for key, result in found.items():
        names = {path.name for path in (out / key).iterdir()}
        learned = "model" if result["method"] == "FT" else "prompt"
        kept = {"config.yaml", "metrics.jsonl", learned, "log.txt", "wandb", "result.json"}
        assert kept | ({"predictions.jsonl"} if result["target"] else set()) <= names
        assert "last.ckpt" not in names and "failed.json" not in names
    scores = (out / "report" / "scores.csv").read_text().splitlines()
    assert len(scores) == 1 + 3 * len(TARGETS) * len(SEEDS)
    assert (out / "report" / "arg.csv").read_text().splitlines()[1].split(",")[1] == "MTL"


@pytest.mark.long
def test_a_downstream_run_is_what_its_arguments_say(done, tmp_path):
    """Its result is that of mpt fit and mpt test typed with the recorded words."""
    from mpt.cli.main import main

    out, _ = done
    result = results(out)["FT/ag_news-21"]
    folder = tmp_path / "typed"
    words = [
        word for word in result["arguments"] if not word.startswith(("--trainer.default_root_dir", "--trainer.logger"))
    ]
    words += [f"--trainer.default_root_dir={folder}", "--trainer.logger=false"]
    main(words)
    main(["test", *words[1:]])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["test/score"] == pytest.approx(result["score"])
    assert max(row["dev/score"] for row in rows[:-1]) == pytest.approx(result["dev_score"])
    mine, theirs = (path / "predictions.jsonl" for path in (folder, out / "FT/ag_news-21"))
    assert mine.read_text() == theirs.read_text()


@pytest.mark.long
def test_every_run_and_the_report_are_logged_to_one_group(done):
    out, _ = done
    result = results(out)["MTL/ag_news-21"]
    head, config, values = read(out / "MTL/ag_news-21")
    assert (head.run_group, head.job_type, head.display_name) == ("toy", "MTL", "MTL/ag_news-21")
    assert json.loads(config["target"]) == "ag_news" and json.loads(config["seed"]) == 21
    assert json.loads(values["test/score"]) == pytest.approx(result["score"])
    ((kind, about, _),) = artifacts(out / "MTL/ag_news-21")
    assert (kind, about["task"], about["step"]) == ("prompt", "ag_news", result["best_step"])
    assert artifacts(out / "FT/ag_news-21") == []

    head, _, values = read(out / "report")
    assert (head.run_group, head.job_type) == ("toy", "report")
    assert json.loads(values["scores.nrows"]) == 3 * len(TARGETS) * len(SEEDS)
    with (out / "report" / "arg.csv").open(newline="") as lines:
        means = {row["method"]: row["arg"] for row in csv.DictReader(lines)}
    assert set(means) == {"MTL", "FT"}
    for method, mean in means.items():
        logged = values[f"ARG/{method}"]
        assert float(logged.strip('"')) == pytest.approx(float(mean or "nan"), abs=1e-3, nan_ok=True)


@pytest.mark.long
def test_run_again_skips_what_is_finished_and_a_changed_study_is_refused(done, file, tmp_path):
    out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*/result.json")}
    code, told, _ = study("run", file, "--out", out)
    assert code == 0 and "nothing to do: all 18 runs are finished" in told
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*/result.json")} == before

    other = changed_file(file, {("overrides", "trainer.max_steps"): 8}, tmp_path / "changed.yaml")
    code, _, err = study("run", other, "--out", out)
    assert code == 2 and err.count("\n") == 1
    assert (
        "--trainer.max_steps=6" in err
        and "--trainer.max_steps=8" in err
        and "--out" in err
        and "MTL/upstream-13" in err
    )

    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    assert unfinished(plan(load_study(file), moved)) == []
    (moved / "report" / "scores.csv").unlink()
    assert study("report", moved)[0] == 0
    assert (moved / "report" / "scores.csv").read_text() == (out / "report" / "scores.csv").read_text()


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_scores(done, file, tmp_path):
    out = tmp_path / "out"
    process = start("run", file, "--out", out, "--workers", "1")
    wait_for(lambda: len(results(out)) >= 3)
    children = _children(process.pid)
    with process:  # closes its pipes
        process.send_signal(signal.SIGKILL)
    assert 3 <= len(results(out)) < 18
    assert _all_end(children), "workers outlived their parent"
    kept = {key: result["seconds"] for key, result in results(out).items()}

    code, told, err = study("run", file, "--out", out, "--workers", "1")
    assert code == 0, err
    assert f"{len(kept)} finished before are left as they are" in told
    assert {key: result["seconds"] for key, result in results(out).items() if key in kept} == kept
    for name in ("scores.csv", "arg.csv"):
        assert (out / "report" / name).read_text() == (done[0] / "report" / name).read_text()


@pytest.mark.long
def test_ctrl_c_stops_at_once_and_leaves_no_worker(file, tmp_path):
    out = tmp_path / "out"
    process = start("run", file, "--out", out)
    wait_for((out / "study.json").exists)
    time.sleep(1)
    children = _children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("mpt: stopped") and err.count("\n") == 1
    assert _all_end(children), "workers outlived their parent"


@pytest.mark.long
def test_a_run_that_fails_takes_only_what_needs_it_along(file, tmp_path, model_folder):
    # The options are well-formed, so that only the run itself can find out.
    limit = ("methods", "MTL", "upstream", "overrides", "data.limit")
    few = {"seeds": [13], "targets": ["ag_news"], RATES: [0.5]}
    broken = write_study(tmp_path, model_folder("t5"), changed(STUDY, {limit: -1, **few}))
    out = tmp_path / "out"
    code, told, err = study("run", broken, "--out", out, "--workers", "1")
    assert code == 1, err
    assert sorted(results(out)) == ["FT/ag_news-13", "PT/ag_news-13-lr0.5"]
    reason = json.loads((out / "MTL/upstream-13/failed.json").read_text())["reason"]
    assert "limit" in reason
    why = json.loads((out / "MTL/ag_news-13/failed.json").read_text())["reason"]
    assert why == "not started: it needs MTL/upstream-13, which failed"
    assert told.count("FAILED") == 2 and "missing: MTL/upstream-13" in told
    assert "limit" in (out / "report" / "report.md").read_text()

    repaired = changed_file(tmp_path / "toy.yaml", {limit: 4})
    code, told, _ = study("run", repaired, "--out", out, "--workers", "1")
    assert code == 0 and "2 runs to do" in told and not list(out.rglob("failed.json"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seds": [13, 21], "seeds": REMOVED}, "unknown key seds; did you mean seeds?"),
        ({"partition": "nowhere/toys.yaml"}, "partition"),
        ({"targets": ["superglue-bc"]}, "did you mean superglue-cb?"),
        ({("methods", "PT"): REMOVED}, "the baseline PT is not among the methods"),
        ({("methods", "MTL", "upstream", "config"): "sopt"}, "config sopt"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(changes, says, tmp_path, model_folder):
    wrong = write_study(tmp_path, model_folder("t5"), changed(STUDY, changes))
    code, _, err = study("run", wrong, "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith("mpt: error: ") and err.count("\n") == 1 and says in err
    assert not results(tmp_path / "out")


@pytest.mark.long
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--model.promt_length=3", "--model.promt_length is not an option of FineTuning"),
        ("--trainer.max_stepz=3", "--trainer.max_stepz is not an option; did you mean --trainer.max_steps"),
        ("--trainer.max_steps=many", "--trainer.max_steps takes a whole number, not many"),
        ("--data=mpt.data.modules.few_shot.NoData", "NoData"),
        ("--model.backbone=./no/such/model", "no such folder"),
    ],
)
def test_options_are_parsed_before_the_first_run(word, says, file, tmp_path):
    good = plan(load_study(file), tmp_path)[-1]
    assert check([good]) is None
    name, _, value = word.removeprefix("--").partition("=")
    said = check([good, replace(good, options={**good.options, name: value})])
    assert said is not None and "\n" not in said
    assert says in said


@pytest.mark.long
def test_a_study_that_is_not_there(tmp_path):
    code, _, err = study("run", "nosuch")
    assert code == 2 and err.count("\n") == 1 and "nosuch" in err
    code, _, err = study("report", tmp_path)
    assert code == 2 and err.count("\n") == 1 and "no study's folder" in err


@pytest.mark.long
def test_an_upstream_run_that_was_done_anew_makes_what_started_from_it_another(done, file):
    cells = plan(load_study(file), done[0])
    stale = [replace(cell, fingerprint="other") if cell.key == "MTL/ag_news-13" else cell for cell in cells]
    with pytest.raises(UserError, match="the upstream run it started from has changed"):
        unfinished(stale)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _all_end(processes: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(_runs, processes))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
