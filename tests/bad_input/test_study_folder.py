"""What a study's folder may hold: each of its files, damaged in every way that is known, meets its readers.

A damaged result or plan is refused by its name. What is not needed for what is asked may be passed over, but is never a
traceback, and never changed.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bad_input import NO_JSON_FILE, NO_TEXT_FILE, Damage, Refused, contents, make_alike, without
from support.finished_study import write_finished
from support.toy import Mpt

from mpt.record.result import RunResult
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run import one
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study

UPSTREAM, RUN, MEMBER = "MTL/upstream-13", "MTL/ag_news-13", "Vote/ag_news-13-member1"
COMMANDS = {"report": "study report out", "answers": "study answers out", "run": "study run toy.yaml --out out"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, model_folder) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_finished(folder, model_folder("t5"))
    return folder


@pytest.fixture(scope="module")
def copied(finished, tmp_path_factory) -> Path:
    """One copy for all tests."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("damaged") / "copy"))


@pytest.fixture
def study(finished, copied, monkeypatch) -> Path:
    """The copy of the finished study's folder as it was at first, beside its file."""
    make_alike(finished, copied)
    monkeypatch.chdir(copied)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return copied / "out"


@pytest.fixture
def refused(capsys, study) -> Refused:
    return Refused(Mpt(capsys), study.parent)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wrong_with_the_folder(command, study, refused):
    done = refused.finished(*COMMANDS[command].split())
    assert done.code == 0 and not done.err


REFUSED = {**without(NO_JSON_FILE, "missing", "a folder", "a pipe", "endless device", "a link to itself", "unreadable")}
"""What is not taken for a run that is not done."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("run", [UPSTREAM, RUN, MEMBER])
@pytest.mark.parametrize("damage", REFUSED)
def test_a_damaged_result_is_named(run, damage, command, study, refused):
    REFUSED[damage](study / run / "result.json")
    refused(*COMMANDS[command].split(), says=f"{run}/result.json")


@pytest.mark.parametrize(("one", "other", "name"), [(UPSTREAM, RUN, "stage"), (RUN, MEMBER, "method")])
def test_results_that_were_exchanged_are_no_scores(one, other, name, study, refused):
    kept = [(study / run / "result.json").read_bytes() for run in (one, other)]
    for run, content in zip((other, one), kept, strict=True):
        (study / run / "result.json").write_bytes(content)
    refused("study", "report", "out", says=f"{one}/result.json is another run's: its {name} is")


PLANS = {**NO_JSON_FILE}


@pytest.mark.parametrize("command", ["report", "answers"])
@pytest.mark.parametrize("damage", PLANS)
def test_a_damaged_plan_is_named(damage, command, study, refused):
    PLANS[damage](study / "study.json")
    refused(*COMMANDS[command].split(), says="study.json")


ROWS = without(NO_TEXT_FILE, "missing", "empty")


@pytest.mark.parametrize("damage", ROWS)
def test_damaged_evaluations_are_named(damage, study, refused):
    ROWS[damage](study / RUN / "metrics.jsonl")
    refused(
        *COMMANDS["report"].split(), says="metrics.jsonl" if "link" not in damage and "device" not in damage else RUN
    )


@pytest.mark.parametrize("damage", ROWS)
def test_damaged_answers_in_other_languages_are_named(damage, study, refused):
    path = study / RUN / "languages.jsonl"
    answer = {"step": 2, "split": "dev", "task": "emo", "input": "a", "references": ["b"], "prediction": "c"}
    path.write_text(json.dumps(answer) + "\n")
    ROWS[damage](path)
    refused(
        *COMMANDS["report"].split(), says="languages.jsonl" if "link" not in damage and "device" not in damage else RUN
    )


@pytest.mark.parametrize("damage", NO_TEXT_FILE)
def test_damaged_predictions_of_one_that_votes_are_named(damage, study, refused):
    NO_TEXT_FILE[damage](study / MEMBER / "predictions.jsonl")
    refused(*COMMANDS["report"].split(), says=MEMBER)


NUMBERS = (-1, 7, 10**25, 1.5, math.nan, math.inf)
BAD: tuple[Any, ...] = (None, [], {}, "x", "\x1b[2J\n", True, *NUMBERS, [None], [[]], {"a": 1})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a JSON content; of a list the first."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return value
    copy = content.copy()
    copy[path[0]] = put(content[path[0]], path[1:], value)
    return copy


def is_told_or_fine(file: Path, refused: Refused) -> tuple[int, int]:
    """Put every bad value at every place of a JSON file: how many were refused, of how many; none is a traceback."""
    content = json.loads(file.read_text())
    told = tried = 0
    for path in places(content):
        for value in BAD:
            file.write_text(json.dumps(put(content, path, value)))
            before = contents(refused.folder)
            try:
                done = refused.finished("study", "answers", "out")
            except Exception as error:
                raise AssertionError(f"{path}: {value}") from error
            assert contents(refused.folder) == before
            assert done.code in (0, 2) and "Traceback" not in done.out + done.err, (path, value)
            if done.code:
                assert done.err.startswith("mpt: error: ") and done.err.count("\n") == 1, (path, value, done.err)
                assert done.err[:-1].isprintable() and len(done.err) < 1000
            assert "\x1b[2J" not in done.out
            told, tried = told + bool(done.code), tried + 1
    return told, tried


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", f"{RUN}/result.json", f"{UPSTREAM}/result.json", f"{RUN}/failed.json"])
def test_no_value_at_any_place_is_a_traceback(name, study, refused):
    if name.endswith("failed.json"):
        (study / name).with_name("result.json").unlink()
        (study / name).write_text(json.dumps({"reason": "r", "arguments": ["fit"], "log": "log.txt", "id": "1"}))
    told, tried = is_told_or_fine(study / name, refused)
    assert tried > 50 and told >= (0 if "failed" in name else tried / 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("score", value) for value in ("0.5", None, math.nan, math.inf, 65, [0.5], True)),
        *(("metric", value) for value in (None, 7, [])),
        *(("dev_score", value) for value in ("0.5", math.nan, {})),
        *(("steps", value) for value in (-1, 1.5, "6", 10**31)),
        *(("seconds", value) for value in (None, -1, math.nan, "1", 1e999)),
        *(("recipe", value) for value in ("fit", [1], [["fit"]])),
        *(("environment", value) for value in (None, {"versions": {}}, {"versions": [], "device": "cpu"})),
        *(("source", value) for value in (7, [7], ["a"], "a")),
        *(("similarity", value) for value in ("a", [math.nan])),
    ],
)  # fmt: skip
def test_a_result_that_says_what_cannot_be(name, value, study, refused):
    path = study / RUN / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    refused(*COMMANDS["report"].split(), says=f"{RUN}/result.json")


SETTING = {"name": "x", "given": "g", "targets": [], "sources": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("baseline", value) for value in (None, "FT", 7)),
        *(("methods", value) for value in (None, [], "PT", ["PT"])),
        *(("seeds", value) for value in (None, 13, ["13"], [1.5])),
        *(("settings", value) for value in (None, {}, [7], [{"name": "x"}], [{**SETTING, "name": "../x"}])),
        *(("runs", value) for value in (None, {}, [7], [{}], [{"key": "../x", "method": "PT", "stage": "upstream"}])),
        *(("varied", value) for value in (7, [[]], [["a", "b", "c", "d"]], [["a", "b", "c", 1.0, 2]])),
        *(("ensembles", value) for value in (7, {"a": "b"}, [1])),
        ("more", 1), ("k", -1.5), ("name", None), ("backbone", []), ("root", 7),
    ],
)  # fmt: skip
def test_a_plan_that_says_what_cannot_be(name, value, study, refused):
    path = study / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    for command in ("report", "answers"):
        refused(*COMMANDS[command].split(), says="study.json")


LINES: dict[str, str] = {
    "half": '{"step": 2, "dev/sc',
    "null": "null",
    "a list": "[1]",
    "a number": "7",
    "no step": '{"dev/score": 0.5}',
    "a step that is a text": '{"step": "2", "dev/score": 0.5}',
    "a step that is not whole": '{"step": 2.5, "dev/score": 0.5}',
    "a step without end": '{"step": 1e999, "dev/score": 0.5}',
    "a step below 0": '{"step": -2, "dev/score": 0.5}',
    "a huge step": f'{{"step": {"9" * 5000}, "dev/score": 0.5}}',
    "a score that is a text": '{"step": 2, "dev/score": "0.5"}',
    "a score that is none": '{"step": 2, "dev/score": null}',
    "not a number": '{"step": 2, "dev/score": NaN}',
    "infinite": '{"step": 2, "dev/score": 1e999}',
    "deep": '{"step":' * 100_000,
}


@pytest.mark.parametrize("line", LINES)
def test_an_evaluation_that_is_none(line, study, refused):
    path = study / RUN / "metrics.jsonl"
    path.write_text(path.read_text() + LINES[line] + "\n")
    refused(*COMMANDS["report"].split(), says="metrics.jsonl")


ANSWERS: dict[str, str] = {
    "half": '{"input": "x", "refer',
    "null": "null",
    "a list": "[1]",
    "no references": '{"input": "x", "prediction": "y"}',
    "a reference": '{"input": "x", "references": "y", "prediction": "y"}',
    "numbers": '{"input": 1, "references": [2], "prediction": 3}',
    "no prediction": '{"input": "x", "references": ["y"]}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("line", ANSWERS)
@pytest.mark.parametrize("command", ["report", "answers"])
def test_a_prediction_that_is_none(line, command, study, refused):
    path = study / MEMBER / "predictions.jsonl"
    path.write_text(path.read_text() + ANSWERS[line] + "\n")
    refused(*COMMANDS[command].split(), says="predictions.jsonl")


@pytest.mark.parametrize("damage", NO_JSON_FILE)
def test_a_damaged_failure_is_a_run_that_is_not_done(damage, study, refused):
    (study / RUN / "result.json").unlink()
    path = study / RUN / "failed.json"
    path.write_text('{"reason": "r"}')
    NO_JSON_FILE[damage](path)
    before = contents(study)
    done = refused.finished(*COMMANDS["answers"].split())
    assert contents(study) == before
    assert (done.code == 0 and not done.err) or (done.code == 2 and "link" in done.err and done.err.count("\n") == 1)


@pytest.mark.parametrize("damage", ["a file", "a pipe"])
@pytest.mark.parametrize("place", [".claims", RUN])
def test_something_else_where_a_folder_would_be(damage, place, study, refused):
    shutil.rmtree(study / place, ignore_errors=True)
    write: dict[str, Damage] = {"a file": Path.touch, "a pipe": NO_TEXT_FILE["a pipe"]}
    write[damage](study / place)
    refused(*COMMANDS["run"].split(), says=place)


def test_what_a_kill_left_of_a_finished_run_goes(study, refused):
    for run in (RUN, UPSTREAM):
        (study / run / "last.ckpt").write_bytes(b"a checkpoint")
    assert refused.finished(*COMMANDS["run"].split()).code == 0
    assert not list(study.rglob("last.ckpt"))


@pytest.mark.parametrize("what", ["", "x\ny", "nonesuch"])
def test_no_study(what, study, refused):
    for command in ("report", "answers"):
        refused("study", command, study / what / "no" if what else "..", says="is no study's folder")


def test_a_folder_that_is_removed_while_its_run_is_at_work(study, monkeypatch):
    loaded = load_study(study.parent / "toy.yaml")
    (run,) = [cell for cell in plan(loaded, study, settings(loaded)) if cell.key == RUN]
    result = run.files.result()

    def removing(planned: PlannedRun, resumed: bool) -> RunResult:
        shutil.rmtree(planned.folder)
        (planned.folder / "prompt").mkdir(parents=True)  # as what is written next makes the folder anew
        return result

    monkeypatch.setattr(one, "_fit_and_test", removing)
    shutil.rmtree(run.folder)
    assert one.do_run(run) == "failed"
    assert f"{run.folder} was removed while the run was at work" in run.files.failure().reason
    assert [path.name for path in run.folder.iterdir()] == ["failed.json"]
    monkeypatch.setattr(one, "_fit_and_test", lambda planned, resumed: result)
    assert one.do_run(run) == "finished" and run.files.failure() is None
