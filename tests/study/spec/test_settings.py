"""Partitions of a study whose tasks are not all there: refused, or left out and held to that."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.changes import changed
from support.study_command import results, study
from support.toy_study import RATES, STUDY, write_study, write_study_of_two

from mpt.present.markdown import markdown
from mpt.study.plan.grid import plan
from mpt.study.report.text import page
from mpt.study.report.write import build_report
from mpt.study.run.results import begun_with
from mpt.study.run.results import write_study as write_plan
from mpt.study.spec.settings import Setting, settings
from mpt.study.spec.study import Study, load_study
from mpt.util.errors import UserError

LACKING = "source: [emo, anli, trec, boolq]\ntarget: [superglue-cb, glue-mrpc, ag_news]\n"
SKIPPED = Setting("toys", "", ("superglue-cb", "ag_news"), ("emo", "trec"), ("glue-mrpc",), ("anli", "boolq"))


@pytest.fixture
def toy(tmp_path: Path) -> Study:
    """A study of which one of three targets and two of four sources are not there."""
    found = load_study(write_study(tmp_path, "mpt-tiny"))
    Path(found.partitions[0]).write_text(LACKING, encoding="utf-8")
    return found


def skip(study: Study) -> Study:
    return replace(study, missing="skip")


def upstream(study: Study, out: Path) -> str:
    places = settings(study, begun_with(study, out))
    return next(cell.fingerprint for cell in plan(study, out, places) if cell.key == "MTL/upstream-13")


def begin(study: Study, out: Path) -> None:
    places = settings(study, begun_with(study, out))
    write_plan(study, places, plan(study, out, places), out)


def come(tmp_path: Path, *tasks: str) -> None:
    for task in tasks:
        shutil.copytree(tmp_path / "data" / "trec", tmp_path / "data" / task)
        for file in (tmp_path / "data" / task).iterdir():
            file.rename(file.with_name(file.name.replace("trec", task)))


def test_every_missing_task_is_named_in_one_sentence_sources_and_targets_apart(toy, tmp_path):
    with pytest.raises(UserError) as raised:
        plan(toy, tmp_path / "out")
    told = str(raised.value)
    assert told.startswith(f"{toy.file}: tasks of toys (source anli, boolq; target glue-mrpc) are not in {toy.root}. ")
    assert "mpt data build anli boolq glue-mrpc --root" in told and told.endswith("leave them out by missing: skip.")
    assert "\n" not in told


def test_of_several_partitions_too(tmp_path):
    of_two = load_study(write_study_of_two(tmp_path, "mpt-tiny"))
    for path in of_two.partitions:
        Path(path).write_text(LACKING, encoding="utf-8")
    with pytest.raises(UserError, match=r"first \(source .*\) and second \(source anli, boolq; target glue-mrpc\) are"):
        settings(of_two)
    assert [place.missing for place in settings(skip(of_two))] == [("anli", "boolq", "glue-mrpc")] * 2


def test_sources_are_not_asked_for_where_nothing_learns_on_them(toy, tmp_path):
    pt_only = replace(toy, methods=toy.methods[:1], targets=("ag_news",))
    assert {cell.target for cell in plan(pt_only, tmp_path)} == {"ag_news"}
    (place,) = settings(skip(replace(toy, methods=toy.methods[:1])))
    assert place.missing == ("glue-mrpc",)


def test_skipped_they_are_neither_learned_nor_measured_on(toy, tmp_path):
    (place,) = settings(skip(toy))
    assert place == replace(SKIPPED, given=toy.partitions[0])
    cells = plan(skip(toy), tmp_path / "out")
    assert {cell.target for cell in cells} == {None, "superglue-cb", "ag_news"}
    words = next(cell.arguments for cell in cells if cell.stage == "upstream")
    assert '--data.tasks=["emo", "trec"]' in words and "--data.partition=null" in words


def test_where_nothing_is_missing_skip_changes_no_run(tmp_path):
    whole = load_study(write_study(tmp_path, "mpt-tiny"))
    assert plan(skip(whole), tmp_path) == plan(whole, tmp_path)


def test_a_partition_needs_a_source_and_a_target(toy):
    path = Path(toy.partitions[0])
    path.write_text("source: [anli]\ntarget: [ag_news]\n", encoding="utf-8")
    with pytest.raises(UserError, match="none of the sources of toys is in"):
        settings(skip(toy))
    path.write_text("source: [emo]\ntarget: [anli, boolq]\n", encoding="utf-8")
    with pytest.raises(UserError, match="none of the targets of toys is in"):
        settings(skip(toy))


def test_what_was_left_out_when_a_study_began_stays_so(toy, tmp_path):
    toy, out = skip(toy), tmp_path / "out"
    before = upstream(toy, out)
    begin(toy, out)
    come(tmp_path, "anli", "glue-mrpc")
    assert upstream(toy, out) == before
    assert settings(toy, begun_with(toy, out)) == [replace(SKIPPED, given=toy.partitions[0])]
    begin(toy, out)  # written anew, it is still what it began with
    assert upstream(toy, out) == before
    # Another folder begins with what is there now, and a study with another root is another study.
    assert upstream(toy, tmp_path / "other") != before
    assert begun_with(replace(toy, root="elsewhere"), out) == {}


def test_what_a_study_began_with_must_not_go(toy, tmp_path):
    begin(skip(toy), tmp_path / "out")
    shutil.rmtree(tmp_path / "data" / "emo")
    with pytest.raises(UserError, match=r"began with emo among the sources of toys, .* no longer has them"):
        settings(skip(toy), begun_with(toy, tmp_path / "out"))


def test_a_sentence_in_the_report_and_in_the_plan(toy, tmp_path):
    out = tmp_path / "out"
    begin(skip(toy), out)
    sentence = (
        f"Left out of toys, for they are not in {toy.root}: 2 of 4 source tasks (anli, boolq) and 1 of 3 target tasks "
        "(glue-mrpc)."
    )
    assert settings(skip(toy))[0].left_out(toy.root) == sentence
    assert sentence in markdown(page(build_report(out), out, [])).splitlines()
    (written,) = json.loads((out / "study.json").read_text())["settings"]
    assert written["missing_sources"] == ["anli", "boolq"] and written["missing_targets"] == ["glue-mrpc"]
    assert Setting("p", "p", ("a",), ("b",)).left_out("r") == ""


@pytest.mark.slow
def test_a_whole_study_says_once_what_it_leaves_out_and_goes_on_as_it_began(tmp_path, model_folder):
    changes = {"missing": "skip", RATES: [0.5], "seeds": [13], "root": "nowhere"}
    file, out = write_study(tmp_path, model_folder("t5"), changed(STUDY, changes)), tmp_path / "out"
    (tmp_path / "toys.yaml").write_text(LACKING, encoding="utf-8")
    asked = ("run", file, "--root", tmp_path / "data", "--out", out, "--workers", "1")
    code, told, err = study(*asked)
    assert code == 0, err
    assert told.count("Left out of toys") == 1 and told.count("anli") == 1
    assert set(results(out)) == {
        "MTL/upstream-13",
        *(f"{name}-13{rate}" for name in ("PT/superglue-cb", "PT/ag_news") for rate in ("-lr0.5",)),
        *(f"{method}/{target}-13" for method in ("MTL", "FT") for target in ("superglue-cb", "ag_news")),
    }
    page = (out / "report" / "report.md").read_text()
    again = f"mpt study run {file} --root {tmp_path / 'data'} --out {out}"
    assert "Left out of toys" in page and again in page

    come(tmp_path, "anli")
    code, told, err = study(*asked)
    assert code == 0 and "nothing to do" in told, err
    assert "the study began without them: anli. Another --out" in told
