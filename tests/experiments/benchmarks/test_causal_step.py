"""The comparison with PEFT on one sequence runs on a tiny model, and compares the same function."""

from __future__ import annotations

import csv
import json

import causal_step
import pytest
from support.architectures import DECODER_ONLY, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(build(tmp_path_factory.mktemp("models"), "llama", DECODER_ONLY["llama"]))


@pytest.mark.long
def test_both_ways_of_each_task_have_their_rows_and_are_not_measured_twice(folder, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    arguments = ["--models", folder, "--prompt-lengths", "5", "--batches", "1", "--out", str(out), "--tasks"]
    causal_step.main([*arguments, "glue-sst2"])
    first = out.read_text()
    causal_step.main([*arguments, "glue-sst2", "glue-qqp"])
    assert out.read_text().startswith(first)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["what"], row["way"]) for row in rows] == [
        *(("step", "peft"), ("step", "mpt"), ("evaluation", "peft"), ("evaluation", "mpt")),
        *(("step", "mpt"), ("step", "peft"), ("evaluation", "mpt"), ("evaluation", "peft")),
    ]
    assert all(float(row["cpu_seconds"]) > 0 for row in rows)
    assert "P = 5" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.usefixtures("cuda")
def test_it_runs_on_a_gpu_under_autocast(folder, capsys):
    words = ["--prompt-lengths", "5", "--tasks", "glue-sst2", "--batches", "1", "--device", "cuda"]
    causal_step.main(["--models", folder, *words, "--precision", "bf16"])
    assert "P = 5" in capsys.readouterr().out


def test_another_loss_than_pefts_ends_it(folder, monkeypatch):
    plain = causal_step.mean_loss
    monkeypatch.setattr(causal_step, "mean_loss", lambda *rows: 1.01 * plain(*rows))
    with pytest.raises(SystemExit, match=r"losses differ: .* by PEFT"):
        causal_step.main(["--models", folder, "--prompt-lengths", "5", "--tasks", "glue-sst2"])


def test_an_unknown_task_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stopped:
        causal_step.main(["--tasks", "glue-sst3"])
    assert stopped.value.code == 2 and "glue-sst3 is not in lengths.json; known are ag_news" in capsys.readouterr().err


def test_the_lengths_are_those_of_64_rows_of_each_task():
    known = json.loads(causal_step.LENGTHS.read_text())
    assert sorted(known) == sorted(causal_step.TASKS)
    assert all(len(pairs) == causal_step.ROWS and all(t > 0 for _, t in pairs) for pairs in known.values())
