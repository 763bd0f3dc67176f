"""``mpt study plan``: what it counts, what it says is missing, and commands that do the runs."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest
from support.changes import changed_file
from support.paths import ROOT
from support.study_command import results
from support.toy import Mpt
from support.toy_study import SEEDS, write_study, write_study_of_two

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.synthetic.suite import RECIPES
from mpt.learn.targets import check_targets
from mpt.record.result import RunResult
from mpt.study import forecast
from mpt.study.forecast import by_kind
from mpt.study.plan.fingerprints import read_draw
from mpt.study.plan.grid import plan
from mpt.study.plan.reach import BUNDLED, ENOUGH
from mpt.study.run.results import write_study as write_plan
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str]) -> Mpt:
    return Mpt(capsys)


def cells_of(line: str) -> list[str]:
    return [part.strip() for part in line.strip("│").split("│")]


def table(out: str, number: int = 1) -> list[list[str]]:
    """Rows of a table: the first is of methods and stages, the second of kinds of runs."""
    parts = re.split(r"^┏", out, flags=re.MULTILINE)
    return [cells_of(line) for line in parts[number].splitlines() if line.startswith("│")]


def test_runs_by_method_and_stage_and_what_waits_for_what(mpt, tmp_path):
    file, out = write_study(tmp_path, "mpt-tiny"), tmp_path / "out"
    ended = mpt("study", "plan", file, "--out", out)
    assert ended.code == 0 and table(ended.out) == [
        ["PT", "downstream", "8", "2 targets × 2 seeds × 2 rates", "0", ""],
        ["MTL", "upstream", "2", "2 seeds", "0", ""],
        ["MTL", "downstream", "4", "2 targets × 2 seeds", "0", "2 upstream runs"],
        ["FT", "downstream", "4", "2 targets × 2 seeds", "0", ""],
    ]
    assert (
        "18 runs" in ended.out
        and "2 upstream runs first; 4 downstream runs" in ended.out
        and "12 for none" in ended.out
    )
    assert "no interval and no p: a test needs at least 4 targets and 3 draws, not 2 and 2." in ended.out
    assert not out.exists()


def test_settings_have_rows_of_their_own_and_can_be_chosen(mpt, tmp_path):
    file = write_study_of_two(tmp_path, "mpt-tiny")
    rows = table(mpt("study", "plan", file).out)
    assert [row[:4] for row in rows] == [
        ["PT", "downstream", "shared", "6"],
        ["MTL", "upstream", "first", "1"],
        ["MTL", "upstream", "second", "1"],
        ["MTL", "downstream", "first", "4"],
        ["MTL", "downstream", "second", "4"],
        ["FT", "downstream", "shared", "6"],
    ]
    chosen = table(mpt("study", "plan", file, "--settings", "second").out)
    assert [row[:4] for row in chosen[1:3]] == [
        ["MTL", "upstream", "second", "1"],
        ["MTL", "downstream", "second", "4"],
    ]
    ended = mpt("study", "plan", file, "--settings", "secnd")
    assert ended.code == 2 and "no setting secnd; did you mean second?" in ended.err


def test_missing_tasks_are_told_and_counted(mpt, tmp_path):
    file = write_study(tmp_path, "mpt-tiny")
    shutil.rmtree(tmp_path / "data" / "emo")
    ended = mpt("study", "plan", file)
    assert ended.code == 0 and "18 runs" in ended.out
    assert f"1 task missing in {tmp_path}/data: emo. Build them (mpt data build emo" in ended.out
    refused = mpt("study", "plan", file, "--commands")
    assert refused.code == 2 and "source emo" in refused.err
    shutil.rmtree(tmp_path / "data")
    ended = mpt("study", "plan", file)
    assert ended.code == 0 and "18 runs" in ended.out and f"There is no folder {tmp_path}/data" in ended.out


@pytest.mark.slow
def test_commands_come_after_what_they_need_and_do_a_run_as_the_study_would(mpt, tmp_path, model_folder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file, out = write_study(tmp_path, model_folder("t5")), tmp_path / "out"
    lines = mpt("study", "plan", file, "--out", out, "--commands").out.splitlines()
    start = shlex.join(["mpt", "study", "run", str(file), "--out", str(out), "--only"])
    assert len(lines) == 18 and all(line.startswith(f"{start} ") for line in lines)
    assert [line.removeprefix(f"{start} ") for line in lines[:2]] == [f"MTL/upstream-{seed}" for seed in SEEDS]
    line = next(line for line in lines if " MTL/ag_news-21 " in line)
    assert line.endswith(" MTL/ag_news-21  # needs MTL/upstream-21")
    # The comment is the shell's to ignore; without the others having run, what it needs is run first.
    own = shlex.split(line, comments=True)
    assert own[0] == "mpt" and mpt(*own[1:], "--workers", "1").code == 0
    assert set(results(out)) == {"MTL/upstream-21", "MTL/ag_news-21"} and not (out / "report").exists()
    left = mpt("study", "plan", file, "--out", out, "--commands").out.splitlines()
    assert len(left) == 16 and f"{start} MTL/superglue-cb-21" in left
    told = mpt("study", "plan", file, "--out", out).out
    assert "18 runs, 2 of them finished" in told and ["MTL", "upstream", "2", "2 seeds", "1", ""] in table(told)
    # Another configuration: nothing is finished, and run would refuse.
    changed_file(file, {("overrides", "trainer.max_steps"): 4})
    told = mpt("study", "plan", file, "--out", out).out
    assert "finished runs are not those of today's study file" in told and "MTL/upstream-21" in told
    ended = mpt("study", "run", file, "--out", tmp_path / "other", "--only", "MTL/ag_new-21")
    assert ended.code == 2 and "no run of the study is MTL/ag_new-21; did you mean MTL/ag_news-21" in ended.err


def test_time_is_told_where_runs_of_the_kind_were_timed_here_or_beside(mpt, tmp_path):
    file, out = write_study(tmp_path, "mpt-tiny"), tmp_path / "studies/out"
    told = mpt("study", "plan", file, "--out", out).out
    assert table(told, 2) == [
        ["MTL upstream", "2", "6", "0", "?", "?"],
        ["PT, MTL downstream", "12", "6", "3", "?", "?"],
        ["FT downstream", "4", "6", "3", "?", "?"],
    ]
    untimed = "No run of this kind has been timed yet: MTL upstream; PT, MTL downstream; FT downstream. The first"
    assert untimed in told and "of computing" not in told and not out.exists()

    runs = plan(load_study(file), out)
    for run in runs:
        if run.key in ("PT/ag_news-13-lr0.5", "PT/ag_news-13-lr0.3", "PT/ag_news-21-lr0.5"):
            seconds = 20.0 if run.key == "PT/ag_news-13-lr0.3" else 4.0
            run.files.start(run.fingerprint, run.recipe, resumed=False)
            run.files.finish(
                run.identity, RunResult(score=0.5, fingerprint=run.fingerprint, recipe=run.recipe, seconds=seconds)
            )
    told = mpt("study", "plan", file, "--out", out, "--workers", "3").out
    assert ["PT, MTL downstream", "9", "6", "3", "4.0 s", "36 s"] in table(told, 2)
    assert "yet: MTL upstream; FT downstream. The first finished runs will tell" in told
    assert "About 36 s of computing, 20 s from the first run to the last with 3 workers (without 6 runs of" in told
    assert "besides start, checks and report; by the median of 3 finished runs of these kinds" in told

    beside = tmp_path / "studies/earlier"
    write_plan(load_study(file), settings(load_study(file)), plan(load_study(file), beside), beside)
    made_with = {"versions": {}, "device": "cpu"}
    for run in plan(load_study(file), beside):
        if run.key in ("MTL/upstream-13", "FT/ag_news-13"):
            result = RunResult(metric="ACC", score=0.5, recipe=run.recipe, seconds=30.0, environment=made_with)
            run.files.start(run.fingerprint, run.recipe, resumed=False)
            run.files.finish(run.identity, result)
    told = mpt("study", "plan", file, "--out", out, "--workers", "100").out
    assert "timed yet" not in told and ["MTL upstream", "2", "6", "0", "30 s", "60 s"] in table(told, 2)
    # 2 runs of 30 s upstream, after them two packs of 2 runs of 4 s; a pack of 5 and 4 of 30 s that wait for none.
    assert f"About {60 + 9 * 4 + 4 * 30} s of computing, 38 s from the first run to the last" in told.replace(
        "4 min", "216 s"
    )
    (beside / "study.json").write_text("[")
    assert "timed yet: MTL upstream; FT" in mpt("study", "plan", file, "--out", out).out


def test_hours_are_told_before_any_run_by_shipped_ones_and_then_at_their_pace(mpt, tmp_path, monkeypatch):
    file, out = write_study(tmp_path, "mpt-tiny"), tmp_path / "out"
    runs = plan(load_study(file), out)
    kinds = list(by_kind(runs))  # MTL upstream; PT and MTL; FT
    monkeypatch.setattr(forecast, "shipped_seconds", lambda: dict(zip(kinds, (60.0, 10.0, 30.0), strict=True)))
    told = mpt("study", "plan", file, "--out", out, "--workers", "1").out
    assert "?" not in told and f"About {2 * 60 + 12 * 10 + 4 * 30} s of computing" in told.replace("6 min", "360 s")
    assert "checks and report; by what the shipped results took: one core of a CPU" in told

    half = next(run for run in runs if run.key == "PT/ag_news-13-lr0.5")
    half.files.start(half.fingerprint, half.recipe, resumed=False)
    half.files.finish(
        half.identity, RunResult(score=0.5, fingerprint=half.fingerprint, recipe=half.recipe, seconds=5.0)
    )
    told = mpt("study", "plan", file, "--out", out, "--workers", "1").out
    assert ["MTL upstream", "2", "6", "0", "30 s", "60 s"] in table(told, 2)
    assert ["FT downstream", "4", "6", "3", "15 s", "60 s"] in table(told, 2)
    assert "by the median of 1 finished run of these kinds" in told
    assert "and what the shipped results took at this machine's pace." in told


@pytest.mark.parametrize("study", sorted(path.stem for path in (ROOT / "experiments/studies/english").glob("*.yaml")))
def test_the_studies_of_english_tell_their_hours(study, mpt, tmp_path):
    told = mpt("study", "plan", f"english/{study}", "--out", tmp_path / "out", "--root", tmp_path).out
    assert re.search(r"About \d+ (h|min)", told)
    unknown = "; ".join(re.findall(r"has been timed yet: (.*)\. The first", told))
    assert unknown == {"longer": "MAML-480 upstream", "methods": "Multitask upstream"}.get(study, "")


def test_what_the_targets_outputs_are_cut_to_is_told_without_any_weights(mpt, tmp_path, model_folder):
    backbone = shutil.copytree(model_folder("t5"), tmp_path / "model")
    (backbone / "model.safetensors").unlink()
    file = write_study(tmp_path, str(backbone))
    out = mpt("study", "plan", file).out
    assert "outputs of" not in out  # a letter and its end are two tokens
    read_draw.cache_clear()
    (tmp_path / "data" / "superglue-cb" / "superglue-cb_16_21_dev.tsv").write_text("a\ty\nb\tyes\nc\tn\n")
    (tmp_path / "data" / "ag_news" / "ag_news_16_13_test.tsv").write_text("a\tabc\n" * 5)
    out = " ".join(mpt("study", "plan", file).out.split())
    assert "1 of 9 dev outputs of superglue-cb are longer than max_target_length=2 tokens" in out
    assert "5 of 5 test outputs of ag_news" in out and "4 tokens are enough for all" in out


def test_labels_of_a_target_that_are_one_are_told(mpt, tmp_path, model_folder):
    file = write_study(tmp_path, str(model_folder("t5")))
    path = tmp_path / "data" / "superglue-cb" / "superglue-cb_16_13_train.tsv"
    path.write_text("a\tyes\nb\tyet\n" * 4)
    out = " ".join(mpt("study", "plan", file).out.split())
    assert "'yes' and 'yet' of superglue-cb are one and the same when they are cut to max_target_length=2" in out
    assert "raise it to 4: mpt fit will refuse" in out


@pytest.mark.long
def test_the_bundled_backbone_writes_all_outputs_of_the_embedded_suite():
    """So that a plan with both need not load the libraries that would tell."""
    encode = FrozenBackbone(BUNDLED, BackboneOptions(max_target_length=ENOUGH)).encode
    for name in RECIPES:
        assert check_targets(encode, read_draw(SYNTHETIC, name, 13, None, None).outputs) == []


def test_kinds_of_runs_that_one_setting_has_are_named_by_it(mpt, tmp_path):
    file = write_study(tmp_path, "mpt-tiny")
    settings = {"Small": {}, "Large": {"backbone": "mpt-tiny-pair"}}
    changed_file(file, {("settings",): settings})
    told = table(mpt("study", "plan", file, "--out", tmp_path / "out").out, 2)
    assert [row[0] for row in told if row[0].startswith("FT")] == ["FT downstream on Small", "FT downstream on Large"]
