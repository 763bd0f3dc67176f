"""A pack of runs against the same runs one at a time, folder by folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from support.changes import changed, changed_file, replaced
from support.paths import TESTS
from support.runs_of_a_study import pack
from support.small_models import t5
from support.study_command import FOUND
from support.toy_study import RATES, STUDY, write_study
from support.wandb_file import artifacts, read

from mpt.prompt.files import load_prompt
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.one import do_run
from mpt.study.run.packs import PACKS, PackFiles, begun, clear_packs
from mpt.study.run.side_by_side import run_pack
from mpt.study.spec.study import load_study

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """Low rates, and no dropout, so that rounding is all that differs."""
    folder = tmp_path_factory.mktemp("study")
    backbone = t5(folder / "t5", dropout_rate=0.0, initializer_factor=1.0)
    steps = {("overrides", "trainer.max_steps"): 8, ("overrides", "trainer.log_every_n_steps"): 2}
    return write_study(folder, backbone, changed(STUDY, {RATES: [0.004, 0.002], **steps}))


@pytest.fixture(scope="module")
def file(tracked) -> Path:
    """The same without W&B, which takes longer than the runs."""
    return changed_file(tracked, {("overrides", "trainer.logger"): False}, tracked.with_name("quiet.yaml"))


@pytest.fixture(scope="module")
def done(tracked, tmp_path_factory) -> tuple[PlannedRun, ...]:
    """A pack, done."""
    cells = pack(tracked, tmp_path_factory.mktemp("done") / "out")
    assert run_pack(cells) == {cell.key: "finished" for cell in cells}
    return cells


def given(cell: PlannedRun, *words: str) -> PlannedRun:
    more = dict(word.removeprefix("--").split("=", 1) for word in words)
    return replace(cell, options={**cell.options, **more}, fingerprint=cell.fingerprint + str(words))


def results(cells: tuple[PlannedRun, ...]) -> dict[str, Any]:
    return {cell.key: json.loads((cell.folder / "result.json").read_text()) for cell in cells}


def numbers(cell: PlannedRun) -> list[dict[str, float]]:
    return [json.loads(line) for line in (cell.folder / "metrics.jsonl").read_text().splitlines()]


def predictions(cell: PlannedRun) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cell.folder / "predictions.jsonl").read_text().splitlines()]


def bits(cells: tuple[PlannedRun, ...]) -> list[Any]:
    """What must be the same after a kill."""
    names = ("metrics.jsonl", "predictions.jsonl", "prompt/adapter_model.safetensors", "prompt/mpt.json")
    return [[(cell.folder / name).read_bytes() for name in names] for cell in cells]


def stamps(cells: tuple[PlannedRun, ...]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for cell in cells for path in cell.folder.rglob("*")}


def test_a_run_of_a_pack_leaves_the_folder_that_it_leaves_alone(done, tracked, tmp_path):
    other = next(cell for cell in pack(tracked, tmp_path / "out") if cell.key == done[2].key)
    assert do_run(other) == "finished"
    mine, theirs = done[2].folder, other.folder

    names = lambda folder: {path.name for path in folder.iterdir()}  # noqa: E731
    assert names(mine) == names(theirs) and not (mine / "last.ckpt").exists()
    text = replaced((mine / "config.yaml").read_text(), str(done[2].out), str(other.out))
    assert text == (theirs / "config.yaml").read_text()
    for one, two in zip(numbers(done[2]), numbers(other), strict=True):
        assert list(one) == list(two)
        assert one == pytest.approx(two, abs=1e-5)
    one, two = load_prompt(mine / "prompt"), load_prompt(theirs / "prompt")
    torch.testing.assert_close(one.weight, two.weight, rtol=0, atol=1e-5)
    assert one.facts == two.facts
    assert (mine / "predictions.jsonl").read_text() == (theirs / "predictions.jsonl").read_text()

    found, expected = results(done)[other.key], results((other,))[other.key]
    assert found.pop("side_by_side") == 4
    assert list(found) == list(expected) and found["examples"] == 8 * 8  # steps x rows
    for name in ("arguments", "seconds"):
        found.pop(name), expected.pop(name)
    score = pytest.approx(expected.pop("score"))
    assert found.pop("score") == score and found == expected

    head, config, values = read(mine)
    assert (head.run_group, head.job_type, head.display_name) == ("toy", "PT", other.key)
    _, their_config, their_values = read(theirs)
    assert config.keys() == their_config.keys() and config["learning_rate"] == their_config["learning_rate"]
    assert {name for name in their_values if "/" in name} <= set(values)
    assert json.loads(values["test/score"]) == pytest.approx(json.loads(their_values["test/score"]))
    ((kind, about, files),), ((_, their_about, their_files),) = artifacts(mine), artifacts(theirs)
    assert kind == "prompt" and files == their_files
    about.pop("dev/score")
    assert about == {name: their_about[name] for name in about}


def test_what_crossfits_loaders_do_is_the_same_side_by_side_and_alone(file, tmp_path):
    words = ("--data.task_prefix=true", "--data.references=drawn", "--model.init=mpt.prompt.initialisers.TaskNames")
    words += ("--model.backbone_options.num_beams=2", "--model.backbone_options.repetition_penalty=2.5")
    mine = tuple(given(cell, *words) for cell in pack(file, tmp_path / "mine")[:2])
    assert run_pack(mine) == {cell.key: "finished" for cell in mine}
    alone = given(next(cell for cell in pack(file, tmp_path / "alone") if cell.key == mine[1].key), *words)
    assert do_run(alone) == "finished" and results(mine)[alone.key]["side_by_side"] == 2
    assert [row["input"].startswith(f"[{alone.target}] ") for row in predictions(alone)] == [True] * 10
    assert predictions(mine[1]) == predictions(alone)
    weights = [load_prompt(cell.folder / "prompt").weight for cell in (mine[1], alone)]
    torch.testing.assert_close(*weights, rtol=0, atol=1e-5)


def test_the_likeliest_labels_are_the_same_side_by_side_and_alone(file, tmp_path):
    mine = tuple(given(cell, "--model.answers=labels") for cell in pack(file, tmp_path / "mine"))
    assert run_pack(mine) == {cell.key: "finished" for cell in mine}
    for cell in (mine[0], mine[-1]):
        other = next(one for one in pack(file, tmp_path / "alone") if one.key == cell.key)
        alone = given(other, "--model.answers=labels")
        assert do_run(alone) == "finished"
        assert predictions(cell) == predictions(alone) and {"prediction", "written"} <= set(predictions(cell)[0])
        for one, two in zip(numbers(cell), numbers(alone), strict=True):
            assert list(one) == list(two) and one == pytest.approx(two, abs=1e-5)
        found, expected = results((cell,))[cell.key], results((alone,))[cell.key]
        assert found["score_written"] == pytest.approx(expected["score_written"])


def test_prompts_start_from_the_runs_own_seeds_and_rates_are_their_own(done):
    weights = [load_prompt(cell.folder / "prompt").weight for cell in done]
    assert len({(cell.seed, cell.learning_rate, cell.target) for cell in done}) == 4
    assert all(not torch.allclose(one, two) for i, one in enumerate(weights) for two in weights[:i])


def test_nothing_of_the_pack_is_left_and_what_is_finished_is_left_as_it_is(done):
    assert list((done[0].out / PACKS).iterdir()) == []
    before = {path: path.stat().st_mtime_ns for path in done[0].out.rglob("*") if path.is_file()}
    assert set(run_pack(done).values()) == {"finished"}
    assert {path: path.stat().st_mtime_ns for path in done[0].out.rglob("*") if path.is_file()} == before


def test_what_is_finished_is_not_done_again_beside_the_others(done, file, tmp_path):
    cells = pack(file, tmp_path / "out")
    run_pack(cells)
    before = stamps(cells[2:])
    for cell in cells[:2]:
        (cell.folder / "result.json").unlink()
    assert run_pack(cells) == {cell.key: "finished" for cell in cells}
    assert [result["side_by_side"] for result in results(cells).values()] == [2, 2, 4, 4]
    assert stamps(cells[2:]) == before and list((cells[0].out / PACKS).iterdir()) == []


def test_what_a_kill_left_of_packs_goes_unless_somebody_goes_on_with_it(done, file, tmp_path):
    cells = pack(file, tmp_path / "out")
    copytree(done[0].folder, cells[0].folder)
    copytree(done[1].folder, cells[1].folder)
    going, ended = PackFiles(cells[1:3]), PackFiles(cells[:2])  # one of two is finished, and both are
    changed = PackFiles((replace(cells[0], fingerprint="of before"), *cells[1:]))
    for files in (going, ended, changed):
        files.begin()
        files.state.touch()
    (folder := going.state.parent).joinpath(".half.pt.7.new").touch()
    (folder / "mine").mkdir()

    def left() -> set[str]:
        return {path.stem for path in folder.iterdir()}

    clear_packs(cells)
    assert left() == {going.state.stem, changed.state.stem, ".half.pt.7", "mine"}  # another may be at work on it
    clear_packs(cells, whole=True)
    assert left() == {going.state.stem, "mine"}
    copytree(done[2].folder, cells[2].folder)
    clear_packs(cells)
    assert left() == {"mine"}


def test_killed_and_started_again_it_ends_with_the_same_bits(done, file, tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(TESTS)!r})\nfrom support.runs_of_a_study import pack\n"
        "import torch\ntorch.set_num_threads(1)\n"
        "from mpt.study.run import side_by_side\nplain = side_by_side._Pack._write_metrics\n"
        "def save(self, side_by_side):\n    plain(self, side_by_side)\n"
        "    if side_by_side.steps == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "side_by_side._Pack._write_metrics = save\n"
        f"side_by_side.run_pack(pack(Path({str(file)!r}), Path({str(out)!r})))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, **FOUND}, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    cells = pack(file, out)
    assert not any((cell.folder / "result.json").exists() for cell in cells)
    assert [row["step"] for row in numbers(cells[0])] == [2, 4] and len(list((out / PACKS).glob("*.pt"))) == 1
    assert begun(plan(load_study(file), out)) == [cells]
    assert set(run_pack(cells).values()) == {"finished"}
    assert bits(cells) == bits(done) and list((out / PACKS).iterdir()) == []
    assert all(result["resumed"] for result in results(cells).values())


def test_what_cannot_be_done_beside_others_is_done_alone(file, tmp_path):
    cells = pack(file, tmp_path / "out")
    cells = (cells[0], given(cells[1], "--trainer.gradient_clip_val=1.0"), cells[2])
    assert set(run_pack(cells).values()) == {"finished"}
    found = results(cells)
    assert [found[cell.key].get("side_by_side") for cell in cells] == [2, None, 2]


def test_a_run_that_fails_fails_alone(file, tmp_path):
    cells = pack(file, tmp_path / "out")
    cells = (
        cells[0],
        given(cells[1], "--data.task=nowhere"),
        cells[2],
        given(cells[3], "--model.optimizer.lr=1e38"),
    )
    ended = run_pack(cells)
    assert [ended[cell.key] for cell in cells] == ["finished", "failed", "finished", "failed"]
    reasons = [json.loads((cells[i].folder / "failed.json").read_text())["reason"] for i in (1, 3)]
    assert "nowhere" in reasons[0] and "no longer finite" in reasons[1]
    assert not (cells[1].folder / "result.json").exists() and results((cells[0],))[cells[0].key]["side_by_side"] == 3


def test_a_pack_that_fails_as_a_whole_is_done_one_by_one(file, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.study.run.side_by_side.SideBySide.fit", lambda *_: 1 / 0)
    cells = pack(file, tmp_path / "out")[:2]
    assert set(run_pack(cells).values()) == {"finished"}
    assert all("side_by_side" not in result for result in results(cells).values())


def test_what_wandb_cannot_take_costs_a_run_nothing(tracked, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.callbacks.tracker.Tracker.log_metrics", lambda *_, **__: 1 / 0)
    cells = pack(tracked, tmp_path / "out")[:2]
    assert set(run_pack(cells).values()) == {"finished"}
    assert all(result["side_by_side"] == 2 for result in results(cells).values())


def test_runs_stop_early_each_by_itself(file, tmp_path):
    stop = (
        '--trainer.callbacks+={"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": '
        '{"monitor": "dev/score", "mode": "max", "patience": 1}}'
    )
    cells = tuple(given(cell, stop) for cell in pack(file, tmp_path / "out"))
    assert set(run_pack(cells).values()) == {"finished"}
    alone = tuple(replace(cell, out=tmp_path / "alone") for cell in cells[:2])
    assert [do_run(cell) for cell in alone] == ["finished"] * 2
    found, expected = results(cells), results(alone)
    assert found[cells[0].key]["side_by_side"] == 4
    for cell in alone:
        assert found[cell.key]["steps"] == expected[cell.key]["steps"] < 8
