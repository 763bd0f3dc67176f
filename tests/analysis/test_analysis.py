"""From a study's folder and its library to tables and figures, and what is said where something is missing."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.all_tried import BASE, SOURCES, tried_records, write_tried
from support.by_hand import record, setting, write_folder
from support.toy import Mpt

from mpt.analysis.remeasure import measured, read_keys
from mpt.analysis.transfers import read_transfers
from mpt.library.library import Library
from mpt.library.similarity import SIMILARITIES
from mpt.prompt.files import load_prompt

FILES = {
    "matrix.png",
    "matrix.csv",
    "prompts.csv",
    "correlation.png",
    "correlation.csv",
    "search_space.png",
    "search_space.csv",
    "clusters.png",
    "clusters.csv",
    "transfer.md",
}


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


@pytest.fixture
def made(tmp_path):
    return write_tried(tmp_path)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_similarities_are_measured_again_from_the_keys(made):
    (transfers,) = read_transfers(made.study)
    found = measured(transfers, read_keys(transfers, Library.open(made.library)))
    assert set(found) == set(SIMILARITIES)
    sources = torch.stack([load_prompt(made.library / "prompts" / name / "key").weight for name in transfers.sources])
    for by, again in found.items():
        assert again.by == by and len(again.trials) == len(transfers.trials)
        for trial in again.trials:
            key = load_prompt(made.study / f"embedding/{trial.target}-{trial.seed}/prompt").weight
            expected = SIMILARITIES[by](key[None], sources)[0, transfers.sources.index(trial.source)].item()
            assert trial.similarity == pytest.approx(expected, abs=1e-6)


def test_a_baseline_of_several_upstream_seeds_counts_by_their_mean(tmp_path):
    made = write_tried(tmp_path)
    rows = [row for row in tried_records(made.library) if row.method != "PT"]
    for (target, seed), score in BASE.items():
        for up, more in ((7, 0.1), (8, -0.2), (9, 0.1)):
            row = record("PT", target, seed, score + more)
            rows.append(replace(row, key=f"{row.key}-up{up}", upstream_seed=up))
    (found,) = read_transfers(write_tried(tmp_path / "crossed", rows).study)
    assert found.base == pytest.approx(BASE)


@pytest.mark.long
def test_everything_is_printed_and_written(mpt, made):
    ended = mpt("transfer", "matrix", made.study, "--k", 1, 3)
    assert ended.code == 0, ended.err
    folder = made.study / "report/transfer"
    assert {path.name for path in folder.iterdir()} == FILES
    for said in ("+62.5", "all 5", "average_token: ", "Similarities differ by up to", str(folder)):
        assert said in ended.out
    (pair,) = [row for row in rows(folder / "matrix.csv") if (row["source"], row["target"]) == ("s-b", "t")]
    assert float(pair["error_reduction"]) == pytest.approx(62.5) and pair["runs"] == "2"
    assert len(rows(folder / "prompts.csv")) == 2 * len(SOURCES)
    assert [(row["by"], row["target"]) for row in rows(folder / "correlation.csv")][:3] == [
        ("average_token", "t"),
        ("average_token", "u"),
        ("per_token", "t"),
    ]
    assert [row["k"] for row in rows(folder / "search_space.csv")] == ["1", "3", "5"]
    tasks = [row["task"] for row in rows(folder / "clusters.csv")]
    assert sorted(tasks) == ["s-a", "s-b", "s-c", "s-d", "t", "u"]
    page = (folder / "transfer.md").read_text()
    assert "equally good on dev, the mean of their test scores counts" in page
    assert "| **+62.5** |" in page and all(f"({name})" in page for name in FILES if name.endswith(".png"))


@pytest.mark.long
def test_ranks_go_by_the_measure_that_is_asked_for(mpt, made, tmp_path):
    ended = mpt("transfer", "matrix", made.study, "--by", "subspace", "--k", 1, "--out", tmp_path / "by")
    assert ended.code == 0 and "most similar prompts (subspace)" in ended.out
    (transfers,) = read_transfers(made.study)
    scores = []
    for (target, seed), folder in transfers.keys.items():
        key = load_prompt(folder).weight
        keys = torch.stack([load_prompt(made.library / "prompts" / name / "key").weight for name in SOURCES])
        best = SOURCES[int(SIMILARITIES["subspace"](key[None], keys)[0].argmax())]
        scores += [t.score for t in transfers.trials if (t.target, t.seed, t.source) == (target, seed, best)]
    assert float(rows(tmp_path / "by/search_space.csv")[0]["score"]) == pytest.approx(100 * sum(scores) / 4)


@pytest.mark.long
def test_without_its_library_a_study_has_what_it_wrote_down(mpt, made, tmp_path):
    moved = shutil.move(made.library, tmp_path / "moved")
    folder = made.study / "report/transfer"
    folder.mkdir(parents=True)
    for name in ("clusters.png", "clusters.csv"):
        (folder / name).write_text("of a study whose library was there")
    ended = mpt("transfer", "matrix", made.study)
    assert ended.code == 0 and "Only the similarities that the study wrote down" in ended.out
    assert {path.name for path in folder.iterdir()} == FILES - {"clusters.png", "clusters.csv"}
    assert {row["by"] for row in rows(folder / "correlation.csv")} == {"per_token"}
    assert {row["source"] for row in rows(folder / "matrix.csv")} == {"s-a", "s-b", "s-c", "s-d"}

    ended = mpt("transfer", "matrix", made.study, "--by", "subspace")
    assert ended.code == 2 and str(made.library) in ended.err
    assert mpt("transfer", "matrix", made.study, "--library", moved).code == 0
    assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.long
def test_a_prompt_or_key_that_is_gone_is_named(mpt, made):
    shutil.rmtree(made.study / "embedding/u-21")
    ended = mpt("transfer", "matrix", made.study, "--library", made.library)
    assert ended.code == 2 and "embedding/u-21" in ended.err
    shutil.rmtree(made.library / "prompts/s-b-1")
    ended = mpt("transfer", "matrix", made.study)
    assert ended.code == 0 and "has no prompt s-b-1" in ended.out


@pytest.mark.long
def test_a_study_of_several_settings_has_a_folder_for_each(mpt, made):
    records = [
        replace(row, partition=name, key=f"{name}-{row.key}") for name in "pq" for row in tried_records(made.library)
    ]
    settings = [setting("p", "t", "u"), setting("q", "t", "u")]
    write_folder(made.study, records, settings=settings, methods=["PT", "All-on-dev"], seeds=[13, 21])
    assert mpt("transfer", "matrix", made.study).code == 0
    assert {path.name for path in (made.study / "report/transfer").iterdir()} == {"p", "q"}


@pytest.mark.long
def test_unfinished_runs_are_told(mpt, made):
    records = [
        replace(row, result=None) if "t-21-0.5-rank4" in row.key or "t-21-0.3-rank4" in row.key else row
        for row in tried_records(made.library)
    ]
    for row in records:
        if row.result is None:
            (made.study / row.key / "result.json").unlink()
    ended = mpt("transfer", "matrix", made.study)
    assert ended.code == 0 and "2 runs have no result yet" in ended.out
    assert "3 of 4 targets and seeds" in ended.out


def test_a_librarys_clusters(mpt, made, tmp_path):
    ended = mpt("transfer", "clusters", made.library, "--by", "subspace")
    assert ended.code == 0 and "s-a" in ended.out
    folder = tmp_path / "runs/clusters/library"
    assert {path.name for path in folder.iterdir()} == {"clusters.png", "clusters.csv"}
    assert len(rows(folder / "clusters.csv")) == 4


def test_prompts_of_several_backbones_are_not_compared(mpt, made):
    library = Library.open(made.library)
    prompt = torch.randn(4, 16)
    facts = {"fingerprint": "other", "task": "s-e", "seed": 1, "backbone": "t5-small"}
    library.add("s-e-1", prompt, prompt, facts, decoder_only=False)
    ended = mpt("transfer", "clusters", made.library)
    assert ended.code == 2 and "mpt-tiny, t5-small" in ended.err and "--backbone" in ended.err
    assert mpt("transfer", "clusters", made.library, "--backbone", "t5-small").code == 0
    ended = mpt("transfer", "clusters", made.library, "--backbone", "gpt2")
    assert ended.code == 2 and "no prompts of gpt2 (mpt-tiny, t5-small)" in ended.err


@pytest.mark.parametrize("action", ["matrix", "clusters"])
def test_a_folder_that_cannot_be_written_to_is_one_sentence(mpt, made, tmp_path, action):
    file = tmp_path / "file"
    file.write_text("mine")
    blocked = tmp_path / "blocked"
    for name in ("matrix.png", "clusters.png"):
        (blocked / name).mkdir(parents=True)
    for out, why in ((file, "it is a file"), (file / "in", "Not a directory"), (blocked, "is there already")):
        ended = mpt("transfer", action, made.study if action == "matrix" else made.library, "--out", out)
        assert ended.code == 2 and ended.err.count("\n") == 1, ended.err
        assert str(out) in ended.err and why in ended.err and "--out" in ended.err
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tree"], "knows matrix and clusters"),
        (["matrix", "nowhere"], "no study's folder"),
        (["matrix", "nowhere", "--k", "0"], "--k must be at least 1"),
        (["clusters", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_sentence(mpt, words, said):
    ended = mpt("transfer", *words)
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1
