"""No link leads out of a study's folder."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from support.by_hand import run_of, setting, write_folder
from support.changes import REMOVED, changed_file
from support.toy import Mpt
from support.toy_study import write_study, write_study_of_two

from mpt.record.folder import RunFolder
from mpt.record.result import RunResult
from mpt.study.plan.grid import plan
from mpt.study.run.results import difference, read_study
from mpt.study.run.results import write_study as write_down
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study


@pytest.mark.parametrize("place", ["PT", "study.json", "PT/a/result.json", ".claims", "report"])
def test_a_folder_with_a_link_is_refused_and_nothing_outside_is_touched(place, capsys, tmp_path):
    mpt, out, outside = Mpt(capsys), tmp_path / "out", tmp_path / "outside"
    (out / "PT" / "a").mkdir(parents=True)
    (out / "study.json").write_text(json.dumps({"settings": [], "runs": []}))
    outside.mkdir()
    link = out / place
    if link.is_dir():
        (link / "a").rmdir()
        link.rmdir()
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    if place == "study.json":
        link.unlink()
        link.symlink_to(outside.with_suffix(".json"))
        outside.with_suffix(".json").write_text(json.dumps({"settings": [], "runs": []}))
    file = write_study(tmp_path, "mpt-tiny")
    for words in (["plan", file, "--out", out], ["run", file, "--out", out], ["report", out]):
        ended = mpt("study", *words)
        assert ended.code == 2 and f"study {out}: {place} leads out of its folder by a link" in ended.err
    assert not any(outside.iterdir())


def test_a_run_is_in_its_study(capsys, tmp_path):
    write_folder(tmp_path, [run_of("PT/../../x", "PT", "downstream", "a", 13)])
    ended = Mpt(capsys)("study", "report", tmp_path)
    assert ended.code == 2 and "PT/../../x would lie outside" in ended.err


STUDY = {"name": "s", "file": "", "backbone": "b", "root": "r", "baseline": "PT", "methods": ["PT"], "seeds": [13]}
RUN = {"key": "PT/a", "method": "PT", "stage": "downstream", "target": "a", "seed": 13, "learning_rate": None}
RESULT = {"metric": "ACC", "score": 0.5, "dev_score": None, "seconds": 1.0, "versions": {}, "device": "cpu"}


@pytest.mark.parametrize(
    ("study", "result", "said"),
    [
        ("[" * 10_000, "{}", "study.json cannot be read"),
        ("[]", "{}", "study.json holds no JSON object"),
        ({"runs": None}, "{}", "study.json is not as mpt study run writes it"),
        ({"runs": [{**RUN, "key": 5}]}, "{}", "study.json is not as mpt study run writes it"),
        ({"more": 1, "runs": []}, "{}", "study.json is not as mpt study run writes it"),
        ({"runs": [RUN]}, "[]", "result.json holds no JSON object"),
        ({"settings": [], "runs": [RUN]}, "{}", "it has no settings"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "environment": {"commit": 7}}), "result.json has commit 7"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "score": "good"}), "result.json has score 'good'"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "score": float("nan")}), "result.json has score nan"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "versions": []}), "result.json has versions []"),
    ],
)
def test_a_folder_that_no_study_wrote_is_refused_in_a_sentence(study, result, said, capsys, tmp_path):
    text = study if isinstance(study, str) else json.dumps({"settings": [setting("p", "a")], **STUDY, **study})
    (tmp_path / "study.json").write_text(text)
    (tmp_path / "PT" / "a").mkdir(parents=True)
    (tmp_path / "PT" / "a" / "result.json").write_text(result)
    ended = Mpt(capsys)("study", "report", tmp_path)
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "holds no JSON object"),
        ("null", "holds no JSON object"),
        ('{"score": NaN}', "has score nan"),
        ('{"score": "0.5"}', "has score '0.5'"),
        ('{"steps": "many"}', "has steps 'many'"),
        ('{"environment": [], "recipe": "fit"}', "has recipe 'fit'"),
        ("{}", "it does not say what it was done with"),
    ],
)
def test_a_damaged_result_is_named_before_any_run_is_done(text, said, capsys, tmp_path):
    path = tmp_path / "out/PT/superglue-cb-21-lr0.5/result.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    ended = Mpt(capsys)("study", "run", write_study(tmp_path, "mpt-tiny"), "--out", tmp_path / "out")
    assert ended.code == 2 and str(path.parent) in ended.err and said in ended.err
    assert ended.err.count("\n") == 1 and not list((tmp_path / "out").rglob("started.json"))


@pytest.mark.parametrize("text", ["[", "null", "[]", '{"reason": 5}'])
def test_a_damaged_failure_says_so_and_a_damaged_start_is_no_start(text, tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "failed.json").write_text(text)
    (tmp_path / "started.json").write_text(text)
    (tmp_path / "last.ckpt").touch()
    assert not folder.is_resumable("abc")
    failure = folder.failure()
    assert failure is not None
    if text.startswith("{"):
        assert failure.reason == "5"
    else:
        assert "failed.json" in failure.reason and not failure.id
    folder.start("abc", ["fit"], resumed=True)
    assert folder.failure() is None and folder.is_resumable("abc") and not folder.is_resumable("abd")


def test_a_result_is_read_as_it_was_written(tmp_path):
    folder = RunFolder(tmp_path)
    made = {"versions": {"torch": "2"}, "commit": None, "device": "cpu", "host": "h"}
    result = RunResult(
        metric="ACC", score=0.5, steps=3, seconds=1.5, recipe=["fit"], arguments=["fit"], environment=made
    )
    folder.start("abc", ["fit"], resumed=False)
    folder.finish({"method": "PT"}, result)
    assert folder.result() == result
    assert list(json.loads((tmp_path / "result.json").read_text())) == [
        *("method", "metric", "score", "dev_score", "best_step", "steps", "examples", "resumed", "fingerprint"),
        *("recipe", "arguments", "environment", "seconds"),
    ]


def test_what_is_not_looked_at_stays_as_far_as_the_study_still_has_it(tmp_path):
    def written(file, *only: str) -> dict[str, int]:
        study = replace(load_study(file), only=only)
        places = settings(study)
        write_down(study, places, plan(study, tmp_path, places), tmp_path / "out")
        facts, records = read_study(tmp_path / "out")
        assert [one.name for one in facts.settings] == ["first", "second"]
        return Counter(record.method for record in records)

    file = write_study_of_two(tmp_path, "mpt-tiny")
    # Of PT and FT three targets by two draws; of MTL in each of two settings two, and its upstream run.
    assert written(file) == written(file, "second") == written(file, "first") == {"PT": 6, "MTL": 10, "FT": 6}
    fewer = changed_file(file, {"seeds": [13], ("methods", "FT"): REMOVED})
    assert written(fewer, "first") == {"PT": 3, "MTL": 6} == written(fewer)
    rates = changed_file(fewer, {("methods", "PT", "downstream", "learning_rates"): [0.5, 0.25]})
    assert written(rates, "second") == {"PT": 4, "MTL": 6}  # superglue-cb is not in it, nor was done with these rates
    other = changed_file(rates, {("methods", "MTL", "upstream", "seed"): 21})
    assert written(other, "second") == {"PT": 4, "MTL": 3}


def test_the_same_options_in_another_order_are_called_so(tmp_path):
    run = plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")[0]
    assert "its options are in another order" in difference(run, [*run.recipe[:2], *reversed(run.recipe[2:])])
