"""What the methods answered, side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.by_hand import one_partition, record, setting, write_folder

from mpt.cli.study import run_study_command
from mpt.record.rows import Prediction, write_predictions
from mpt.util.errors import UserError


@pytest.fixture
def folder(tmp_path) -> Path:
    """PT answers x to every example, MTL y, of which it wrote z to the first."""
    records = one_partition()
    write_folder(tmp_path, records)
    for run in records:
        said = "x" if run.method == "PT" else "y"
        rows = [Prediction(f"{run.target} text {i}", ["y"], said, written=said) for i in range(10)]
        if said == "y":
            rows[0] = Prediction(f"{run.target} text 0", ["y"], "y", written="z")
        write_predictions(tmp_path / run.key / "predictions.jsonl", rows)
    return tmp_path


def shown(capsys, *words: object) -> str:
    run_study_command(["answers", *map(str, words)])
    return capsys.readouterr().out


def test_examples_at_even_distances_and_a_column_a_method(folder, capsys):
    told = shown(capsys, folder, "--rows", 2)
    assert "a, draw 13" in told and "b, draw 13" in told
    lines = [line.replace("│", "").split() for line in told.splitlines() if " text " in line]
    # text 0 and text 5 of ten; what was written where it is not the answer
    assert lines[0] == ["a", "text", "0", "y", "x", "y", "(z)"] and lines[1] == ["a", "text", "5", "y", "x", "y"]
    assert len(lines) == 4
    one = shown(capsys, folder, "--task", "b", "--seed", 21, "--rows", 100)
    assert one.count(" text ") == 10 and "a, draw" not in one and "b, draw 21" in one


def test_what_is_not_there(folder, tmp_path):
    for words, told in (
        (["--task", "c"], "--task c: no target of "),
        (["--seed", "5"], "--seed 5: the draws of "),
    ):
        with pytest.raises(UserError, match=told):
            run_study_command(["answers", str(folder), *words])
    with pytest.raises(UserError, match="nowhere"):
        run_study_command(["answers", str(tmp_path / "nowhere")])


def test_an_ensemble_says_what_most_of_its_prompts_say(tmp_path, capsys):
    records = [record("PT", "a", 13, 0.5)]
    for member, said in enumerate(("x", "y", "y")):
        records.append(replace(record("Vote", "a", 13, 0.5), key=f"Vote/a-13-member{member}"))
        write_predictions(tmp_path / records[-1].key / "predictions.jsonl", [Prediction("text 0", ["y"], said)])
    write_predictions(tmp_path / records[0].key / "predictions.jsonl", [Prediction("text 0", ["y"], "x")])
    write_folder(tmp_path, records, methods=["PT", "Vote"], seeds=[13], ensembles={"Vote": 3})
    (line,) = [line for line in shown(capsys, tmp_path).splitlines() if "text 0" in line]
    assert line.replace("│", "").split() == ["text", "0", "y", "x", "y"]


def test_each_of_several_settings_is_named_and_a_draw_without_answers_refused(folder, tmp_path, capsys):
    write_folder(folder, one_partition(), settings=[setting("p", "a"), setting("q", "a")], seeds=[13, 21, 42])
    told = shown(capsys, folder)
    assert "p: a, draw 13" in told and "q: a, draw 13" in told
    with pytest.raises(UserError, match="no run of draw 42 on a has answers yet"):
        shown(capsys, folder, "--seed", 42, "--task", "a")
