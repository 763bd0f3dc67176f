"""The benchmark of meta-gradients runs on tiny models, and its errors are what they say."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import meta_gradient
import pytest
import torch
from measuring import NotFinished
from support.small_models import t5
from torch.nn import functional as F

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone

TINY = ["--input-length", "8", "--prompt-length", "4", "--batch", "2", "--repeats", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small T5 without kinks, and not so wide that float32 drowns in its curvature."""
    return t5(tmp_path_factory.mktemp("models") / "smooth", feed_forward_proj="gated-gelu", initializer_factor=1.0)


@pytest.fixture
def in_this_process(monkeypatch, tmp_path):
    """Measurements without processes of their own, whose imports take most of a test's time."""

    def run(script, job):
        result = tmp_path / "result.json"
        meta_gradient.measure(job | {"result": str(result)})
        return json.loads(result.read_text())

    monkeypatch.setattr(meta_gradient, "run_apart", run)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_way_has_its_row_and_the_exact_ones_are_exact(folder, in_this_process, tmp_path, capsys):
    out = tmp_path / "new" / "rows.csv"
    meta_gradient.main(["--model", str(folder), "--steps", "1", "--out", str(out), *TINY])
    rows, printed = read(out), capsys.readouterr()
    assert out.read_text().splitlines()[0] == "way,inner_steps,seconds,extra_mb,relative_error"
    ways = [way for way in meta_gradient.WAYS if way != "learn2learn" or "learn2learn is left out" not in printed.out]
    assert [(row["way"], row["inner_steps"]) for row in rows] == [(way, "1") for way in ways]
    assert all(float(row["seconds"]) > 0 and float(row["extra_mb"]) > 0 for row in rows)
    errors = {row["way"]: float(row["relative_error"]) for row in rows}
    first_order, by_difference = errors.pop("fomaml"), errors.pop("maml")
    assert first_order > 0.01 and by_difference < 0.1 * first_order
    assert all(error < 1e-4 for error in errors.values()), errors
    assert printed.err.count("error") == len(rows) and str(out) in printed.out
    assert "maml (finite_difference)" in printed.out


@pytest.mark.long
def test_errors_and_rate_are_those_of_a_loop_written_out_here(folder, in_this_process, tmp_path, monkeypatch):
    seen, run = {}, meta_gradient.run_apart
    monkeypatch.setattr(meta_gradient, "run_apart", lambda script, job: seen.setdefault(job["way"], run(script, job)))
    out = tmp_path / "rows.csv"
    meta_gradient.main(["--model", str(folder), "--steps", "2", "--ways", "fomaml", "--out", str(out), *TINY])

    options = BackboneOptions(max_input_length=8, max_target_length=8, attention="eager")
    backbone = FrozenBackbone(str(folder), options).double().eval()
    inputs, targets = zip(*meta_gradient.examples(4, 8), strict=True)
    support, query = backbone.encode(inputs[:2], targets[:2]), backbone.encode(inputs[2:], targets[2:])
    assert support.input_ids.shape == query.input_ids.shape == (2, 8)

    def loss(prompt, batch):
        embeds = torch.cat([prompt.expand(2, -1, -1), backbone.model.get_input_embeddings()(batch.input_ids)], 1)
        logits = backbone.model(inputs_embeds=embeds, labels=batch.labels).logits
        return F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten())

    start = backbone.embeddings[:4].requires_grad_()
    (first,) = torch.autograd.grad(loss(start, support), start)
    rate = 0.01 * start.detach().norm().item() / first.norm().item()
    point = start
    for _ in range(2):
        point = point - rate * torch.autograd.grad(loss(point, support), point, create_graph=True)[0]
    query_loss = loss(point, query)
    exact, first_order = torch.autograd.grad(query_loss, [start, point])
    expected = float((first_order - exact).norm() / exact.norm())

    assert seen["reference"]["rate"] == pytest.approx(rate, rel=1e-4)
    assert float(read(out)[0]["relative_error"]) == pytest.approx(expected, rel=1e-3)
    assert seen["fomaml"]["second_order_error"] == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_measurements_have_processes_of_their_own(folder, tmp_path, capfd):
    out = tmp_path / "rows.csv"
    meta_gradient.main(["--model", str(folder), "--steps", "1", "--ways", "fomaml", "--out", str(out), *TINY])
    (row,) = read(out)
    assert (row["way"], row["inner_steps"]) == ("fomaml", "1") and float(row["extra_mb"]) > 0
    assert "[1/1] fomaml, inner steps 1" in capfd.readouterr().err


def test_what_does_not_finish_is_left_out_and_the_rest_is_kept(tmp_path, monkeypatch, capsys):
    figures = {"seconds": 2.0, "cpu_seconds": 1.0, "extra_mb": 8.0, "process_mb": 9.0, "relative_error": 0.5}

    def run(script, job):
        if job["way"] == "higher":
            raise NotFinished("higher", subprocess.CompletedProcess([], 1, "", "Traceback\nOutOfMemoryError: full\n"))
        return figures | {"second_order_error": 1.0, "hessian": None, "rate": 1.0}

    monkeypatch.setattr(meta_gradient, "run_apart", run)
    out = tmp_path / "rows.csv"
    with pytest.raises(SystemExit) as ended:
        meta_gradient.main(["--model", "any", "--steps", "1", "--ways", "higher", "maml_graph", "--out", str(out)])
    assert ended.value.code == 1
    assert [row["way"] for row in read(out)] == ["maml_graph"]
    assert "higher, inner steps 1: left out, OutOfMemoryError: full" in capsys.readouterr().err


def test_without_a_reference_nothing_is_measured(monkeypatch, capsys):
    def run(script, job):
        assert job["way"] == "reference"
        raise NotFinished("reference", subprocess.CompletedProcess([], 2, "", "backbone x: no such folder\n"))

    monkeypatch.setattr(meta_gradient, "run_apart", run)
    with pytest.raises(SystemExit) as ended:
        meta_gradient.main(["--model", "x", "--ways", "fomaml", "maml"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("error: backbone x: no such folder\n")


def test_a_measurement_says_a_users_mistake_in_one_line_and_ends_with_2(tmp_path, capsys):
    job = {"way": "reference", "threads": 1, "folder": "./nowhere", "input_length": 8, "device": "cpu"}
    with pytest.raises(SystemExit) as ended:
        meta_gradient.measure(job | {"result": str(tmp_path / "result.json")})
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere: no such folder" in line


def test_ratios_are_to_the_row_of_as_many_steps():
    def row(way, steps, value):
        keys = ("seconds", "cpu_seconds", "extra_mb", "process_mb", "relative_error", "second_order_error")
        return {"way": way, "inner_steps": steps, "hessian": "finite_difference"} | dict.fromkeys(keys, value)

    rows = [row("fomaml", 5, 2.0), row("maml", 5, 3.0), row("higher", 5, 4.0), row("higher", 1, 1.0), row("maml", 2, 1)]
    lines = [line.split() for line in meta_gradient.table(rows).splitlines()]
    assert " ".join(lines[2]) == (
        "maml (finite_difference) 5 3.000 0.750 3.000 3.0 0.750 1.500 3.0 0.750 3.0e+00 3.0e+00"
    )
    assert lines[4][3] == "1.000" and lines[4][7] == "-", "FoMAML was not measured at one step"
    assert lines[5][4] == "-"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "cuda"], "torch finds no CUDA device"),
        (["--steps", "0"], "must be at least 1"),
        (["--out", "{folder}"], "is a folder"),
        (["--ways", "learn2learn"], "none of them is here"),
    ],
)
def test_mistakes_are_said_and_end_with_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(meta_gradient, "has_cuda", lambda: False)
    here = meta_gradient.is_here
    monkeypatch.setattr(meta_gradient, "is_here", lambda way: way != "learn2learn" and here(way))
    with pytest.raises(SystemExit) as ended:
        meta_gradient.main([argument.format(folder=tmp_path) for argument in arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
