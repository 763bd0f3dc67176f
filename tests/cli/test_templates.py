"""Texts that are made of columns as a prompt's examples were, whoever reads them."""

from __future__ import annotations

import csv
import json

import pytest
from support.used_prompts import TASKS, labelled, task_data

import mpt
from mpt.cli.main import main, run
from mpt.use.answers.calibration import CONTENT_FREE, Calibration
from mpt.use.answers.opening import open_predictor

POST, MEMO = "post : {a} age ?", "memo : {b} ! place ?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One prompt with a template, one with another over another column, one whose folder says nothing."""
    place = tmp_path_factory.mktemp("prompts")
    made = ((TASKS[2], POST), (TASKS[1], MEMO), (TASKS[0], None))
    return [str(labelled(place, task, template=template)) for task, template in made]


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in arguments])
    assert end.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def answers(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_each_row_is_read_as_the_examples_of_the_prompt_that_it_names(folders, kind, tmp_path):
    """Also where the first prompt's columns are empty, or in JSON not there."""
    words = ["the aged cats view a pear .", "a young hog naps .", "two boys sing in the fog ."]
    rows = [{"task": task, name: word} for word in words for task, name in ((TASKS[2], "a"), (TASKS[1], "b"))]
    path, out = tmp_path / f"mixed.{kind}", tmp_path / "out.csv"
    if kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["task", "a", "b"])
            writer.writeheader()
            writer.writerows([*rows, {"task": "", "a": ""}])
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(["predict", *folders[:2], str(path), "--prompt-column", "task", "--out", str(out)])
    for row, answer in zip(rows, answers(out), strict=False):
        folder, template = (folders[0], POST) if "a" in row else (folders[1], MEMO)
        alone = mpt.load_prompt(folder)([template.format(**row)])[0]
        assert answer["prediction"] == alone.text
        assert float(answer["probability"]) == pytest.approx(alone.probability, abs=1e-5)
    assert len(answers(out)) == len(rows) + (kind == "csv")


def test_prompts_that_vote_must_read_the_same_text(folders, tmp_path, capsys):
    path = tmp_path / "texts.csv"
    path.write_text("a,b\none,two\n")
    told = refused(["predict", *folders[:2], path, "--free"], capsys)
    assert repr(POST) in told and repr(MEMO) in told and "say it by --input" in told
    assert "a column alone" in refused(["evaluate", folders[0], folders[2], path, "--free"], capsys)
    run(["predict", *folders[:2], str(path), "--free", "--input", POST, "--out", str(tmp_path / "out.csv")])
    assert len(answers(tmp_path / "out.csv")) == 1


def test_what_says_nothing_stands_in_the_template(folders, tmp_path):
    """Zhao et al. 2021: the diagonal of the likelihoods of content-free words in the prompt's form."""
    path, out = tmp_path / "texts.csv", tmp_path / "out.csv"
    path.write_text("a\nthe aged cats view a pear .\n")
    run(["predict", folders[0], str(path), "--contextual", "--out", str(out)])
    predictor = open_predictor([folders[0]])
    plain = Calibration().with_baseline(predictor.scores([POST.format(a=word) for word in CONTENT_FREE]))
    wanted = plain.probabilities(predictor.scores([POST.format(a="the aged cats view a pear .")]))[0]
    found = [float(answers(out)[0][f"p_{label}"]) for label in predictor.prompts[0].labels]
    assert found == pytest.approx(wanted.tolist(), abs=1e-5)


@pytest.mark.parametrize("name", ["raw.csv", "raw.jsonl", "raw.txt"])
def test_a_file_without_the_templates_columns_is_not_read_raw(folders, name, tmp_path, capsys):
    path, out = tmp_path / name, tmp_path / "out.csv"
    text = "the aged cats view a pear ."
    path.write_text({"raw.csv": f"text\n{text}\n", "raw.jsonl": json.dumps({"text": text}), "raw.txt": text}[name])
    told = refused(["predict", folders[0], path], capsys)
    assert "no column 'a', and the prompt's examples were 'post : {a} age ?'; say by --input" in told
    run(["predict", folders[0], str(path), "--input", POST.replace("{a}", "{text}"), "--out", str(out)])
    alone = mpt.load_prompt(folders[0])([POST.format(a=text)])[0]
    assert float(answers(out)[0]["probability"]) == pytest.approx(alone.probability, abs=1e-5)
    run(["predict", folders[0], str(path), "--input", "text", "--out", str(tmp_path / "raw_out.csv")])
    whole = mpt.load_prompt(folders[0])([text])[0]
    assert float(answers(tmp_path / "raw_out.csv")[0]["probability"]) == pytest.approx(whole.probability, abs=1e-5)


def test_a_template_over_numbers_reads_a_table_without_a_header(tmp_path, capsys):
    folder = labelled(tmp_path, TASKS[2], template="post : {2} age ?")
    (tmp_path / "no_header.csv").write_text("7,the aged cats view a pear .\n8,a young hog naps .\n")
    run(["predict", str(folder), str(tmp_path / "no_header.csv"), "--out", str(tmp_path / "out.csv")])
    alone = mpt.load_prompt(folder)(["post : a young hog naps . age ?"])[0]
    assert float(answers(tmp_path / "out.csv")[1]["probability"]) == pytest.approx(alone.probability, abs=1e-5)


def test_a_column_by_its_number_is_read_alike_by_predict_and_evaluate(tmp_path):
    folder = str(labelled(tmp_path, TASKS[2], template="2"))
    examples = task_data(TASKS[2]).fewshot.test[:8]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(one.targets[0], one.input) for one in examples])
    run(["predict", folder, str(tmp_path / "a.csv"), "--out", str(tmp_path / "out.csv")])
    right = [row["prediction"] == row["column 1"] for row in answers(tmp_path / "out.csv")]
    run(["evaluate", folder, str(tmp_path / "a.csv"), "--metric", "ACC", "--out", str(tmp_path / "report.json")])
    assert json.loads((tmp_path / "report.json").read_text())["score"] == sum(right) / len(right)


def test_a_key_that_a_later_record_alone_has_is_not_guessed(folders, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "review": "good"}\n{"id": 2, "review": "x", "text": "y"}\n')
    run(["predict", folders[2], str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "out.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0]["prediction"] == mpt.load_prompt(folders[2])(["good"])[0].text


def test_labels_that_are_not_the_prompts_are_no_score(folders, tmp_path, capsys):
    """All of them: refused; some: counted; in another case: the same label, as the metrics have it."""
    path, report = tmp_path / "test.csv", tmp_path / "report.json"
    examples = task_data(TASKS[0]).fewshot.test[:12]

    def table(outputs):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["id", "text", "label"], *outputs])

    table([(at, one.input, one.targets[0]) for at, one in enumerate(examples)])
    run(["evaluate", folders[2], str(path), "--metric", "ACC", "--out", str(report)])
    right = json.loads(report.read_text())
    told = refused(["evaluate", folders[2], path, "--output", "id", "--metric", "ACC"], capsys)
    assert f"{path}, line 2: '0' is no label of the prompt, nor is that of any other row" in told
    table([(at, one.input, one.targets[0].upper()) for at, one in enumerate(examples)])
    report.unlink()
    run(["evaluate", folders[2], str(path), "--metric", "ACC", "--out", str(report), "--calibrate", str(path)])
    other = json.loads(report.read_text())
    assert "12 of 12 labels differ by case alone" in capsys.readouterr().out
    assert (other["score"], other["labels"], other["confusion"]) == tuple(
        right[name] for name in ("score", "labels", "confusion")
    )
    table([(at, one.input, one.targets[0] if at else "nothing") for at, one in enumerate(examples)])
    run(["evaluate", folders[2], str(path), "--metric", "ACC"])
    assert "1 of 12 rows have a label that the prompt does not know, such as 'nothing'" in capsys.readouterr().out
