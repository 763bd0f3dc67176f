"""mpt predict and mpt evaluate, from files as people have them to files as they need them."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.used_prompts import TASKS, labelled, task_data

import mpt
import mpt.use.answers.predict_file as predict_file
from mpt.backbone.device import few_threads
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.cli.main import main, run
from mpt.cli.predict import labelled_rows
from mpt.use.answers.predictor import Predictor, UsedPrompt
from mpt.util.errors import UserError

EMOJI = "\N{PARTY POPPER}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("prompts")
    return [str(labelled(place, task, rows)) for task, rows in zip(TASKS, (20, 7, 13), strict=True)]


@pytest.fixture
def table(tmp_path):
    """A CSV with ids, quotes, line breaks, an emoji, a row without text, and of two tasks."""
    path = tmp_path / "new.csv"
    rows = [
        (f"{task}-{at}", example.input, f'a "note",\nwith {EMOJI}', task)
        for at in range(6)
        for task in TASKS[:2]
        for example in [task_data(task).fewshot.test[at]]
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text", "note", "task"], *rows, ["last", " ", "", TASKS[0]]])
    return path


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in arguments])
    assert end.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("mpt: error: ")
    return told


def test_every_column_is_kept_and_labels_have_probabilities(folders, table, tmp_path, capsys):
    out = tmp_path / "out.csv"
    run(["predict", folders[0], str(table), "--out", str(out)])
    before, after = read(table), read(out)
    labels = task_data(TASKS[0]).labels
    for old, new in zip(before, after, strict=True):
        assert {name: new[name] for name in old} == old
        if not old["text"].strip():
            assert new["prediction"] == new["probability"] == ""
            continue
        shares = {label: float(new[f"p_{label}"]) for label in labels}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert new["prediction"] == max(shares, key=shares.get) and float(new["probability"]) == max(shares.values())
    told = capsys.readouterr().err
    assert "13 rows" in told and "1 row has no text" in told and f"written to {out}" in told
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_rows_that_name_their_prompt_are_answered_as_by_it_alone(folders, table, tmp_path, capsys):
    run(["predict", *folders[:2], str(table), "--prompt-column", "task", "--out", str(tmp_path / "mixed.jsonl")])
    mixed = [json.loads(line) for line in (tmp_path / "mixed.jsonl").read_text().splitlines()]
    for folder, task in zip(folders[:2], TASKS, strict=False):
        run(["predict", folder, str(table), "--out", str(tmp_path / f"{task}.csv")])
        for one, alone in zip(mixed, read(tmp_path / f"{task}.csv"), strict=True):
            if one["task"] == task and one["text"].strip():
                assert one["prediction"] == alone["prediction"] and one["note"] == alone["note"]
                assert one["probability"] == pytest.approx(float(alone["probability"]), abs=1e-5)
                assert set(one["probabilities"]) == set(task_data(task).labels)
    run(["predict", *folders[:2], str(table), "--prompt-column", "task", "--out", str(tmp_path / "mixed.csv")])
    labels = {task: set(task_data(task).labels) for task in TASKS[:2]}
    for row in read(tmp_path / "mixed.csv")[:-1]:  # the last has no text
        weighed = {name for label in set.union(*labels.values()) if row[name := f"p_{label}"]}
        assert weighed == {f"p_{label}" for label in labels[row["task"]]}
    told = refused(["predict", *folders[::2], table, "--prompt-column", "task"], capsys)
    assert f"{table}, line 4: task is '{TASKS[1]}', which is no prompt's name" in told


@pytest.mark.parametrize(
    ("quantization", "precision"), [(None, "bf16-mixed"), ("int8", "32"), ("int8", "bf16-mixed"), ("nf4", "32")]
)
def test_other_arithmetic_answers_as_a_predictor_made_so(quantization, precision, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.backbone.device.has_bfloat16", lambda device: True)  # also where it is slow
    if quantization == "nf4":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: the extra quantization")
    options = BackboneOptions(max_input_length=64, max_target_length=8, quantization=quantization)
    backbone = FrozenBackbone("mpt-tiny", options).eval()
    folder = labelled(tmp_path, TASKS[1], fingerprint=backbone.fingerprint)
    examples, path, out = task_data(TASKS[1]).fewshot.test[:40], tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"text": one.input, "label": one.targets[0]}) + "\n" for one in examples))
    said = ["--precision", precision, *(["--quantization", quantization] if quantization else [])]
    run(["predict", str(folder), str(path), "--out", str(out), *said])
    weight, labels = mpt.load_prompt(folder).weight, tuple(task_data(TASKS[1]).labels)
    prompt, texts = UsedPrompt("by hand", weight, labels), [one.input for one in examples]
    few_threads(backbone)
    by_hand = Predictor(backbone, [prompt], autocast=torch.bfloat16 if precision == "bf16-mixed" else None)(texts)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    shares = [[row["probabilities"][label] for label in labels] for row in found]
    assert shares == [pytest.approx([one.probabilities[label] for label in labels], abs=1e-4) for one in by_hand]
    assert [row["prediction"] for row in found] == [one.text for one in by_hand]
    plain = Predictor(FrozenBackbone("mpt-tiny", replace(options, quantization=None)).eval(), [prompt])(texts)
    others = [[one.probabilities[label] for label in labels] for one in plain]
    assert 1e-3 < (torch.tensor(shares) - torch.tensor(others)).abs().max() < 0.3
    run(["evaluate", str(folder), str(path), "--metric", "ACC", "--out", str(tmp_path / "report.json"), *said])
    right = sum(row["prediction"] == row["label"] for row in found)
    assert json.loads((tmp_path / "report.json").read_text())["score"] == pytest.approx(right / 40)


def test_a_row_without_text_needs_no_prompt(folders, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(f"text,which\na b .,{TASKS[0]}\n,\n,\n")
    run(["predict", *folders[:2], str(path), "--prompt-column", "which", "--out", str(tmp_path / "out.csv")])
    assert [bool(row["prediction"]) for row in read(tmp_path / "out.csv")] == [True, False, False]


def test_standard_output_has_the_table_alone(folders, tmp_path, capsys):
    texts = [example.input for example in task_data(TASKS[1]).fewshot.test[:3]]
    path = tmp_path / "new.txt"
    path.write_text("\n".join([texts[0], "", *texts[1:]]))
    capsys.readouterr()
    run(["predict", folders[1], str(path)])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["text"] for row in rows] == [texts[0], "", *texts[1:]] and rows[1]["prediction"] == ""
    assert all(row["prediction"] in task_data(TASKS[1]).labels for row in rows[::2])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_was_stopped_goes_on_and_ends_the_same(folders, table, tmp_path, monkeypatch, capsys, suffix):
    monkeypatch.setattr(predict_file, "_PART", 4)
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    run(["predict", folders[0], str(table), "--out", str(whole)])
    parts = predict_file._parts

    def stopped(*args):
        for number, part in enumerate(parts(*args)):
            if number == 2:
                raise KeyboardInterrupt
            yield part

    monkeypatch.setattr(predict_file, "_parts", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(["predict", folders[0], str(table), "--out", str(out)])
    assert not out.exists()
    (work,) = tmp_path.glob(".out*")
    with (work / "rows").open("a") as file:
        file.write("half a row that a kill left")
    monkeypatch.setattr(predict_file, "_parts", parts)
    capsys.readouterr()
    run(["predict", folders[0], str(table), "--out", str(out)])
    assert "8 of them were done before it was stopped" in capsys.readouterr().err
    assert out.read_bytes() == whole.read_bytes() and not list(tmp_path.glob(".out*"))


def test_other_work_does_not_go_on(folders, table, tmp_path, monkeypatch, capsys):
    out, work = tmp_path / "out.csv", tmp_path / ".out.csv.predicting"
    work.mkdir()
    (work / "rows").write_text("id\n1\n2\n")
    (work / "state.json").write_text('{"digest": "other", "bytes": 5, "rows": 2, "blank": 0, "counts": {}}')
    run(["predict", folders[0], str(table), "--out", str(out)])
    assert "done before" not in capsys.readouterr().err and len(read(out)) == 13


def test_several_prompts_vote(folders, table, tmp_path):
    place = tmp_path / "more"
    several = [folders[0], *(str(labelled(place, TASKS[0], rows)) for rows in (3, 9))]
    run(["predict", *several, str(table), "--out", str(tmp_path / "vote.csv")])
    run(["predict", *several, str(table), "--ensemble", "mean", "--out", str(tmp_path / "mean.csv")])
    alone = []
    both = [str(labelled(place, TASKS[0], rows)) for rows in (3, 9)]
    run(["predict", *both, str(table), "--out", str(tmp_path / "both.csv")])
    run(["predict", str(place), str(table), "--out", str(tmp_path / "in_a_folder.csv")])
    assert read(tmp_path / "in_a_folder.csv") == read(tmp_path / "both.csv")
    for number, folder in enumerate(several):
        run(["predict", folder, str(table), "--out", str(tmp_path / f"{number}.csv")])
        alone.append(read(tmp_path / f"{number}.csv"))
    for at, (vote, mean) in enumerate(zip(read(tmp_path / "vote.csv")[:-1], read(tmp_path / "mean.csv"), strict=False)):
        told = [rows[at]["prediction"] for rows in alone]
        assert vote["prediction"] == max(set(told), key=told.count)
        assert float(vote["probability"]) == pytest.approx(told.count(vote["prediction"]) / 3, abs=1e-5)
        share = sum(float(rows[at]["p_positive"]) for rows in alone) / 3
        assert float(mean["p_positive"]) == pytest.approx(share, abs=1e-5)


def test_a_column_of_that_name_is_kept(folders, tmp_path):
    path = tmp_path / "new.tsv"
    path.write_text('text\tprediction\nhe said "no"\told\n')
    run(["predict", folders[0], str(path), "--out", str(tmp_path / "out.tsv")])
    head, row = (line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines())
    assert head[:4] == ["text", "prediction", "mpt_prediction", "mpt_probability"]
    assert row[:2] == ['he said "no"', "old"] and row[2] in task_data(TASKS[0]).labels


def test_answers_to_answers_keep_every_column_and_key(folders, tmp_path):
    path = tmp_path / "new.jsonl"
    rows = [{"text": "one", "n": 1}, {"text": "two", "prediction": "mine", "note": None}, {"text": "three", "n": "x"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for times in range(1, 4):
        run(["predict", folders[0], str(path), "--out", str(tmp_path / f"{times}.jsonl"), "--input", "text"])
        path = tmp_path / f"{times}.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()]
        assert all({**now, **then} == now for now, then in zip(found, rows, strict=True))
        rows = found
        assert all(row["mpt_" * times + "prediction"] for row in found)
    run(["predict", folders[0], str(tmp_path / "new.jsonl"), "--out", str(tmp_path / "new.csv"), "--input", "text"])
    cells = [(row["n"], row["prediction"], row["note"]) for row in read(tmp_path / "new.csv")]
    assert cells == [("1", "", ""), ("", "mine", ""), ("x", "", "")]
    run(["predict", folders[0], str(tmp_path / "new.csv"), "--out", str(tmp_path / "again.csv"), "--input", "text"])
    head = (tmp_path / "again.csv").read_text().splitlines()[0].split(",")
    assert len(set(head)) == len(head) and "mpt_mpt_prediction" in head


def test_half_a_sign_in_any_key_is_told_before_a_row_is_answered(folders, tmp_path, capsys):
    path = tmp_path / "new.jsonl"
    path.write_text('{"text": "one", "note": "x"}\n{"text": "two", "note": ["\\ud83d"]}\n')
    assert "new.jsonl, line 2 holds half of a sign" in refused(["predict", folders[0], path], capsys)


def assert_read_alike(folder, here, template):
    """Evaluate scores what predict answers in ``a.csv``, whether the prompt or --input says what the texts are."""
    run(["predict", folder, "a.csv", "--out", "out.csv"])
    right = [row["prediction"] == row["label"] for row in read(here / "out.csv")]
    for number, more in enumerate(([], ["--input", template])):
        run(["evaluate", folder, "a.csv", "--metric", "ACC", "--out", f"{number}.json", *more])
        assert json.loads((here / f"{number}.json").read_text())["score"] == sum(right) / len(right)


def test_evaluate_and_calibrate_read_the_texts_that_the_prompt_was_learned_on(tmp_path, monkeypatch, capsys):
    """Against predict on the same file, which reads them by the prompt's template over two columns."""
    folder = str(labelled(tmp_path, TASKS[2], template="{title} {text}"))
    monkeypatch.chdir(tmp_path)
    examples = task_data(TASKS[2]).fewshot.test[:30]
    parts = [(*one.input.split(" ", 1), one.targets[0]) for one in examples]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["title", "text", "label"], *parts])
    assert_read_alike(folder, tmp_path, "{title} {text}")
    run(["evaluate", folder, "a.csv", "--input", "text", "--metric", "ACC", "--out", "other.json"])
    capsys.readouterr()
    run(["evaluate", folder, "a.csv", "--calibrate", "a.csv"])
    told = capsys.readouterr().out
    assert "the texts are '{title} {text}'" in told and "temperature" in told


def test_evaluate_reads_the_one_column_of_a_template_as_predict_does(tmp_path, monkeypatch):
    """Beside another that has the usual name."""
    folder = str(labelled(tmp_path, TASKS[2], template="{body}"))
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "a.csv").open("w", newline="") as file:
        rows = (("a title", one.input, one.targets[0]) for one in task_data(TASKS[2]).fewshot.test[:30])
        csv.writer(file).writerows([["text", "body", "label"], *rows])
    assert_read_alike(folder, tmp_path, "{body}")


def test_evaluate_tells_what_predict_got_right(folders, tmp_path, capsys):
    path, report = tmp_path / "test.csv", tmp_path / "report.json"
    examples = task_data(TASKS[1]).fewshot.test[:40]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *((one.input, one.targets[0]) for one in examples)])
    run(["predict", folders[1], str(path), "--out", str(tmp_path / "out.csv")])
    right = [row["prediction"] == row["label"] for row in read(tmp_path / "out.csv")]
    capsys.readouterr()
    run(["evaluate", folders[1], str(path), "--out", str(report), "--calibrate", str(path), "--contextual"])
    told, found = capsys.readouterr().out, json.loads(report.read_text())
    assert "temperature" in told and "which is taken for which" in told and "expected calibration error" in told
    run(["evaluate", folders[1], str(path), "--metric", "ACC", "--out", str(tmp_path / "plain.json")])
    plain = json.loads((tmp_path / "plain.json").read_text())
    assert plain["score"] == sum(right) / len(right) and plain["off_label"] == 0 and plain["metric"] == "ACC"
    assert sum(map(sum, plain["confusion"]["rows"])) == found["examples"] == 40
    assert found["metric"] == task_data(TASKS[1]).task.metric == "Classification-F1"


def test_what_a_prompt_of_an_own_task_was_made_of_is_remembered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{number},{'a hot' if number % 2 else 'an icy'} day {number} .,{number % 2}" for number in range(24)]
    (tmp_path / "heat.csv").write_text("\n".join(["id,wording,verdict", *rows, ""]))
    (tmp_path / "heat.yaml").write_text(
        'file: heat.csv\ninput: "report : {wording} heat ?"\noutput: verdict\nlabels: {0: minus, 1: plus}\n'
    )
    run(["adapt", "heat.yaml", "--out", "prompt", "--steps", "2", "--every", "2", "--prompt-length", "3"])
    capsys.readouterr()
    run(["predict", "prompt", "heat.csv"])
    told = capsys.readouterr()
    answers = list(csv.DictReader(told.out.splitlines()))
    assert "the texts are 'report : {wording} heat ?'" in told.err and len(answers) == 24
    alone = mpt.load_prompt("prompt")(["report : a hot day 1 . heat ?"])[0]
    assert float(answers[1]["p_plus"]) == pytest.approx(alone.probabilities["plus"], abs=1e-5)
    run(["evaluate", "prompt", "heat.yaml", "--out", "report.json"])
    assert json.loads((tmp_path / "report.json").read_text())["examples"] == 4
    options = argparse.Namespace(input=None, output=None, header=None, encoding=None)
    with pytest.raises(UserError, match=r"--calibrate heat.yaml: the task has no table for dev"):
        labelled_rows(Path("heat.yaml"), options, split="dev")
    (tmp_path / "dev.csv").write_text("id,wording,verdict\n1,a warm day .,1\n2,a cool day .,0\n")
    (tmp_path / "heat.yaml").write_text((tmp_path / "heat.yaml").read_text().replace("file:", "dev: dev.csv\ntrain:"))
    assert len(labelled_rows(Path("heat.yaml"), options, split="dev").rows) == 2
    (tmp_path / "plain.csv").write_text((tmp_path / "heat.csv").read_text())
    run(
        [
            "adapt",
            "plain.csv",
            "--input",
            "wording",
            "--output",
            "verdict",
            "--out",
            "plain",
            "--steps",
            "2",
            "--every",
            "2",
            "--prompt-length",
            "3",
        ]
    )
    capsys.readouterr()
    run(["predict", "plain", "heat.csv"])
    assert "the texts are in the column wording" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["predict", "FOLDER"], "a prompt's folder and a file are needed"),
        (["predict", "missing", "FILE"], "prompt missing: no such folder"),
        (["predict", "FOLDER", "missing.csv"], "missing.csv: it cannot be read: No such file"),
        (["predict", "FOLDER", "FILE", "--out", "FILE"], "exists; name another file"),
        (["predict", "FOLDER", "FILE", "--out", "x.xlsx"], ".csv, .tsv or .jsonl are possible"),
        (["predict", "FOLDER", "FILE", "--input", "nope"], "has no column 'nope' for --input"),
        (["predict", "FOLDER", "FILE", "--ensemble", "vote"], "--ensemble is for several prompts"),
        (
            ["predict", "FOLDER", "FILE", "--prompt-column", "tsk"],
            "no column 'tsk' for --prompt-column; did you mean task",
        ),
        (["predict", "FOLDER", "FOLDER", "FILE"], "named twice"),
        (["predict", "FOLDER", "OTHER", "FILE"], "no vote can join them"),
        (["predict", "FOLDER", "FILE", "--labels", "a", "b", "--free"], "--labels and --free contradict one another"),
        (["predict", "FOLDER", "FILE", "--backbone", "nowhere"], "nowhere"),
        (["predict", "FOLDER", "OTHER", "FILE", "--free", "--ensemble", "mean"], "what is written has none; give vote"),
        (["predict", "FOLDER", "FILE", "--free", "--contextual"], "has no labels, whose probabilities"),
        (["predict", "FOLDER", "FILE", "--max-input-length", "0"], "--max-input-length must be at least 1"),
        (["predict", "FOLDER", "FILE", "--prompt-column", ""], "has no column '' for --prompt-column"),
        (["predict", "FOLDER", "FILE", "--labels", "a", "a "], "--labels must name two labels or more that differ"),
        (["predict", "FOLDER", "FILE", "--labels", "a"], "--labels must name two labels or more that differ"),
        (["predict", "FOLDER", "FOLDER"], "the suffix says what a file is"),
        (["predict", "", "FILE"], "a prompt's name is empty"),
        (["evaluate", "", "FILE"], "a prompt's name is empty"),
        (["predict", "FOLDER", "own.yaml"], "own.yaml says what a task is; name a table of texts"),
        (["predict", "FOLDER", "--labels", "a", "FILE"], "--labels took FILE, so name the file before it"),
        (["predict", "FOLDER", "."], "the suffix says what a file is"),
        (
            ["evaluate", "FOLDER", "FILE", "--output", "task", "--metric", "Pearson-Correlation", "--labels", *TASKS],
            "are numbers, and",
        ),
        (["evaluate", "FOLDER"], "a prompt's folder and a file are needed"),
        (["evaluate", "FOLDER", "FILE", "--metric", "F2"], "There is no metric 'F2'"),
        (["evaluate", "FOLDER", "FILE", "--out", "x.txt"], "must end in .json"),
        (["evaluate", "FOLDER", "FILE", "--ensemble", "vote"], "--ensemble is for several prompts"),
        (["evaluate", "FOLDER", "own.yaml", "--input", "text"], "--input is of a table; own.yaml says itself how"),
        (["predict", "FOLDER", "FILE", "--output", "task"], "--output is the labels' column of what --calibrate names"),
        (["evaluate", "FOLDER", "FILE"], "say by"),
        (["evaluate", "FOLDER", "FILE", "--output", "task", "--calibrate", "FILE"], "is no label"),
    ],
)
def test_a_mistake_is_one_sentence(folders, table, tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    words = {"FOLDER": folders[0], "OTHER": folders[1], "FILE": str(table)}
    assert complaint.replace("FILE", words["FILE"]) in refused([words.get(word, word) for word in arguments], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_labels_are_not_weighed_where_none_are_compared(tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("one\n")
    told = refused(["predict", "synthetic:syn-topic-news-13", tmp_path / "texts.txt", "--free", "--per-token"], capsys)
    assert "--per-token weighs labels" in told


def test_json_lines_go_out_as_json_whatever_numbers_came_in(folders, tmp_path, capsys):
    path, out = tmp_path / "new.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "a", "n": NaN, "deep": {"m": [1.5, NaN]}}\n')
    run(["predict", folders[0], str(path), "--out", str(out), "--input", "text"])
    (row,) = [json.loads(line, parse_constant=pytest.fail) for line in out.read_text().splitlines()]
    assert row["n"] is None and row["deep"] == {"m": [1.5, None]} and row["text"] == "a"
    for wrong in ('"n": 1e400', '"n": Infinity', '"n": 1, "n": 2'):
        path.write_text(f'{{"text": "a"}}\n{{"text": "b", {wrong}}}\n')
        assert "new.jsonl, line 2 is not JSON" in refused(["predict", folders[0], path, "--input", "text"], capsys)
