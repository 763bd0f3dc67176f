"""The comparison of runs side by side and alone runs on a tiny model, and its numbers are what they say."""

from __future__ import annotations

import argparse
import csv

import packing
import pytest
import torch
from packing import Done
from support.small_models import t5

from mpt.backbone.model import FrozenBackbone
from mpt.learn import PromptTuning
from mpt.prompt.initialisers import SampledVocabulary


@pytest.mark.slow
def test_every_run_is_done_in_every_way(tmp_path, monkeypatch, capsys):
    folder = t5(tmp_path / "t5", dropout_rate=0.0, initializer_factor=1.0)
    monkeypatch.setattr(
        packing,
        "OVERRIDES",
        {"trainer.logger": False, "model.backbone_options.max_target_length": 12, "data.eval_batch_size": 100},
    )
    tiny = ["--steps", "2", "--every", "2", "--prompt-length", "3", "--size", "2"]
    chosen = ["--targets", "syn-age-blog", "syn-find-hour", "--seeds", "13"]
    packing.main(["--model", str(folder), *chosen, *tiny, "--out", str(tmp_path / "out")])
    with (tmp_path / "out" / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["target"], row["seed"]) for row in rows] == [("syn-age-blog", "13"), ("syn-find-hour", "13")]
    text = (tmp_path / "out" / "packing.md").read_text()
    assert text in capsys.readouterr().out and str(tmp_path) not in text
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    steps, packed, nudged, exact = (line for line in lines if len(line) == 3)
    assert steps == ["step", "1", "2"]
    far = lambda line: float(line[1].partition(" ")[0])  # noqa: E731
    assert 0 <= far(packed) < 1e-6 and 3e-7 < far(nudged) < 3e-6 and far(exact) < 1e-14


def test_in_float64_nothing_is_rounded_to_float32(tmp_path):
    folder = t5(tmp_path / "t5", dropout_rate=0.0)
    with packing.in_float64():
        learner = PromptTuning(str(folder), prompt_length=3)
        learner.build(())
        batch = learner.backbone.encode(["a b", "c"], ["yes", "no"])
        loss = learner.backbone.loss(learner.prompt.weight, batch)
        assert learner.prompt.weight.dtype == loss.dtype == torch.float64
        with torch.no_grad():
            learner.prompt.weight[0, 0] += 1e-13
        moved = learner.backbone.loss(learner.prompt.weight, batch) - loss
    # float32 would have hidden so small a step, or have made it 1e-7 and more.
    assert 0 < moved.abs().max() < 1e-11
    assert FrozenBackbone(str(folder)).embeddings.dtype == torch.float32


def test_a_start_is_off_by_a_millionth(tmp_path):
    folder = str(t5(tmp_path / "t5"))

    def start(init):
        learner = PromptTuning(folder, prompt_length=20, init=init)
        learner.build(())
        return learner.prompt.weight.detach().double()

    off = start(packing.Nudged()) / start(SampledVocabulary()) - 1
    assert off.std().item() == pytest.approx(1e-6, rel=0.1) and abs(off.mean().item()) < 2e-7


def test_differences_are_in_points_and_tested_in_pairs():
    # By hand: the mean of 2, 4 and 0 is 2, their deviation 2, t = 2 / (2 / sqrt 3) = 1.732; p at 2 degrees 0.225.
    line = packing.table_row("side by side", [2.0, 4.0, 0.0])
    assert line == "| side by side | 1 of 3 | +2.00 ± 1.15 | 0.23 | 2.0 | 4.0 |"
    assert packing.table_row("same", [0.0, 0.0]).split("|")[4].strip() == "", "there is nothing to test"


def test_columns_of_the_page_are_their_own_pairs():
    scores = {"alone": 0.5, "packed": 0.6, "nudged": 0.3, "alone64": 0.4, "packed64": 0.4}
    done = {way: Done(score, {}) for way, score in scores.items()}
    rows = [packing.row("one", 13, done), packing.row("two", 13, done | {"packed": Done(0.5, {})})]
    assert [row["difference"] for row in rows] == [0.1, 0.0] and rows[0]["nudged_difference"] == -0.2
    options = argparse.Namespace(model="m", prompt_length=1, rate=0.1, steps=1, every=1, size=2, threads=1)
    text = packing.page(options, rows, {name: {1: (0.0, 0.0)} for name in packing.PAIRS})
    table = [line.split("|")[1:4] for line in text.splitlines() if " of 2 |" in line]
    assert [[cell.strip() for cell in cells] for cells in table] == [
        ["side by side", "1 of 2", "+5.00 ± 5.00"],
        ["alone, start off by 1e-6", "0 of 2", "-20.00 ± 0.00"],
        ["side by side, both in float64", "2 of 2", "+0.00 ± 0.00"],
    ]


def test_distances_are_relative_and_medians():
    def left(*ends):
        return {number: Done(0.0, {1: torch.tensor([3.0, end])}) for number, end in enumerate(ends)}

    assert packing.apart(left(4.0, 4.0, 4.0), left(4.0, 4.5, 9.0))[1] == pytest.approx((0.1, 1.0))
