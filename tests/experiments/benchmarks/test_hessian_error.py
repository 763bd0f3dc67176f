"""The benchmark of finite differences runs on a few pairs, and its errors are what they say."""

from __future__ import annotations

import csv
from pathlib import Path

import hessian_error
import pytest
import torch

import mpt.learn.meta.maml as maml
from mpt.learn.meta.hessian import double_backward


@pytest.fixture(autouse=True)
def short_way_upstream(monkeypatch):
    monkeypatch.setattr(hessian_error, "UPSTREAM_STEPS", (1,))


def run(out: Path, *arguments: str) -> list[dict[str, str]]:
    threads = torch.get_num_threads()
    try:
        hessian_error.main(["--out", str(out), *arguments])
    finally:
        torch.set_num_threads(threads)
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_three_pairs_by_both_ways(tmp_path, capsys):
    rows = run(tmp_path / "new" / "pairs.csv", "--pairs", "3", "--steps", "2", "1", "--ways", *hessian_error.WAYS)
    assert [(row["pair"], row["inner_steps"], row["way"]) for row in rows] == [
        (str(pair), str(steps), way) for pair in range(3) for steps in (1, 2) for way in hessian_error.WAYS
    ]
    kinds = [rows[first]["prompt"] for first in (0, 4, 8)]
    assert kinds[0] == "vocabulary" and kinds[1] == "upstream 1" and kinds[2].startswith("syn-")
    assert all(0.03 <= float(row["inner_lr"]) <= 3 and float(row["second_order"]) > 0 for row in rows)
    assert all(float(row["error"]) < {"exact": 1e-3}.get(row["way"], 0.02) for row in rows)
    assert all(float(row["gradients"]) in (1, 1.5, 2) for row in rows)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[2:6]] == [[way, k] for way in hessian_error.WAYS for k in "12"]
    again = run(tmp_path / "again.csv", "--pairs", "1", "--steps", "1")
    assert again == rows[:1], "pairs come of a seed"


@pytest.mark.long
@pytest.mark.parametrize("factor", [0.0, 0.95])
def test_the_error_is_that_of_the_second_order_term(tmp_path, monkeypatch, capsys, factor):
    """Without its products MAML is FoMAML, all of the term amiss; at 0.95 of each a twentieth of one step's term is."""

    def poor(loss, step, vector):
        return factor * double_backward(loss, step, vector)

    monkeypatch.setattr(maml, "finite_difference", poor)
    for row in run(tmp_path / "pairs.csv", "--pairs", "2", "--steps", "1"):
        for name in ("error", "against_gradient"):
            assert float(row[name]) == pytest.approx(1 - factor, rel=1e-2)
    assert f"{100 * (1 - factor):.2f} %" in capsys.readouterr().out


def test_a_folder_in_place_of_the_file_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        hessian_error.main(["--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "is a folder; give a file" in capsys.readouterr().err
