"""No link leads out of a study's folder."""

from __future__ import annotations

import json

import pytest
from support.by_hand import run_of, write_folder
from support.toy import Mpt
from support.toy_study import write_study

from mpt.record.folder import RunFolder
from mpt.record.result import RunResult


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
        ({"runs": [RUN]}, json.dumps({**RESULT, "score": "good"}), "result.json has score 'good'"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "score": float("nan")}), "result.json has score nan"),
        ({"runs": [RUN]}, json.dumps({**RESULT, "versions": []}), "result.json has versions []"),
    ],
)
def test_a_folder_that_no_study_wrote_is_refused_in_a_sentence(study, result, said, capsys, tmp_path):
    text = study if isinstance(study, str) else json.dumps({"settings": [], **STUDY, **study})
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
