"""Runs taken from another study's folder, without doing any."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.changes import changed
from support.toy import Mpt
from support.toy_study import STUDY, write_study

from mpt.record.result import RunResult
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import unfinished
from mpt.study.run.reuse import take_over
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError
from mpt.util.reading import read_json


def planned(folder: Path, out: Path, **changes) -> list[PlannedRun]:
    folder.mkdir(exist_ok=True)
    study = {**STUDY, "methods": {name: STUDY["methods"][name] for name in ("PT", "MTL")}}
    return plan(load_study(write_study(folder, "mpt-tiny", changed(study, changes))), out)


def finish(runs: list[PlannedRun]) -> None:
    """As if they had been done."""
    for run in runs:
        run.files.start(run.fingerprint, run.recipe, resumed=False)
        (run.files.prompt).mkdir()
        (run.files.prompt / "adapter_model.safetensors").write_text(run.key)
        judged = {} if run.stage == "upstream" else {"metric": "ACC", "score": 0.5}
        facts = {"device": "cpu", "versions": {}}
        result = RunResult(**judged, fingerprint=run.fingerprint, recipe=run.recipe, environment=facts)
        run.files.finish(run.identity, result)


def test_a_study_of_more_draws_takes_what_a_smaller_one_has_done(tmp_path):
    small = planned(tmp_path / "small", tmp_path / "one", seeds=[13])
    finish(small[1:])
    large = planned(tmp_path / "small", tmp_path / "two", seeds=[13, 21], name="larger")
    assert take_over(large, tmp_path / "one") == len(small) - 1
    left = {run.key for run in unfinished(large)}
    assert left == {run.key for run in large} - {run.key for run in small[1:]}
    for run in small[1:]:
        (copy,) = [one for one in large if one.key == run.key]
        assert read_json(copy.folder / "result.json") == read_json(run.folder / "result.json")
        assert (copy.files.prompt / "adapter_model.safetensors").read_text() == run.key
        assert not (copy.folder / "started.json").exists()
    assert take_over(large, tmp_path / "one") == 0  # what is there is left as it is


def test_what_others_start_from_is_taken_with_its_prompt_or_done_again(tmp_path):
    runs = planned(tmp_path / "a", tmp_path / "one", seeds=[13])
    finish(runs)
    for run in runs:
        shutil.rmtree(run.files.prompt)
    again = planned(tmp_path / "a", tmp_path / "two", seeds=[13])
    assert take_over(again, tmp_path / "one") == len(runs) - 1
    assert [run.key for run in unfinished(again)] == ["MTL/upstream-13"]


def test_another_runs_result_is_not_taken(tmp_path):
    finish(planned(tmp_path / "a", tmp_path / "one"))
    other = planned(tmp_path / "b", tmp_path / "two", **{"overrides": {**STUDY["overrides"], "trainer.max_steps": 4}})
    assert take_over(other, tmp_path / "one") == 0 and not (tmp_path / "two").exists()


def test_by_the_command_line_and_what_is_refused(capsys, tmp_path):
    runs = planned(tmp_path / "a", tmp_path / "one")
    finish(runs)
    ended = Mpt(capsys)(
        "study", "run", tmp_path / "a" / "toy.yaml", "--out", tmp_path / "two", "--reuse", tmp_path / "one"
    )
    assert f"{len(runs)} runs are taken from" in ended.out and f"all {len(runs)} runs are finished" in ended.out
    assert ended.code == 0 and (tmp_path / "two" / "report" / "report.md").is_file()
    missing = Mpt(capsys)(
        "study", "run", tmp_path / "a" / "toy.yaml", "--out", tmp_path / "three", "--reuse", "nowhere"
    )
    assert missing.code == 2 and "--reuse nowhere: no such folder" in missing.err
    (runs[0].folder / "result.json").write_text("[]")
    with pytest.raises(UserError, match=r"result\.json"):
        take_over(planned(tmp_path / "a", tmp_path / "four"), tmp_path / "one")
    (runs[0].folder / "result.json").unlink()
    (tmp_path / "outside").write_text("secret")
    (runs[1].folder / "log.txt").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=r"log\.txt leads out of its folder by a link"):
        take_over(planned(tmp_path / "a", tmp_path / "five"), tmp_path / "one")
