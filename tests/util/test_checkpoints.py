"""Checkpoints are files on this machine that hold tensors and plain values; anything else is refused unread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from support.toy import Mpt, small_fit, write_toy

CONFIG = ("--config", "prompt_tuning")


class Trap:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


ELSEWHERE = "a checkpoint is a file on this machine"
ASKED = [
    ("fit", "option", {"ckpt_path": "http://127.0.0.1:9/x.ckpt"}, ELSEWHERE),
    ("validate", "option", {"ckpt_path": "memory://x.ckpt"}, ELSEWHERE),
    ("test", "config", {"ckpt_path": "file:///bait.ckpt"}, ELSEWHERE),
    ("predict", "run folder", {"ckpt_path": "simplecache::x"}, ELSEWHERE),
    ("fit", "run folder", {"ckpt_path": "bait.ckpt", "weights_only": "false"}, "weights_only false would let"),
    ("test", "config", {"ckpt_path": "bait.ckpt"}, "bait.ckpt cannot be read, or holds more than tensors"),
    ("fit", "option", {"ckpt_path": "gone.ckpt"}, "--ckpt_path gone.ckpt: no such file"),
    ("validate", "option", {"ckpt_path": "best"}, "--ckpt_path best: what was best on dev is no checkpoint"),
]


@pytest.mark.long
@pytest.mark.parametrize(("word", "place", "asked", "told"), ASKED)
def test_none_comes_from_elsewhere_or_runs_code(word, place, asked, told, mpt, model_folder, tmp_path):
    trap = tmp_path / "sprung"
    torch.save({"state_dict": {}, "bait": Trap(trap)}, tmp_path / "bait.ckpt")
    options = [*CONFIG, *small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")]
    if place == "option":
        options += [f"--{name}={value}" for name, value in asked.items()]
    else:
        file = tmp_path / ("run" if place == "run folder" else "extra") / "config.yaml"
        file.parent.mkdir()
        file.write_text("".join(f"{name}: {value}\n" for name, value in asked.items()))
        options += ["--config", file]
    ended = mpt(word, *options)
    assert ended.code == 2 and ended.err.count("mpt: error: ") == 1 and "Traceback" not in ended.err
    assert told in ended.err and not trap.exists()


def test_options_and_configs_are_not_read_from_elsewhere(mpt, tmp_path):
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem().pipe("/model.yaml", b"class_path: PromptTuning\ninit_args: {prompt_length: 0}\n")
    ended = mpt("fit", *CONFIG, "--model", "memory://model.yaml")
    assert ended.code == 2 and "memory://model.yaml" in ended.err and "at least 1" not in ended.err


def test_a_run_folder_leads_nowhere_else(mpt, tmp_path, model_folder):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(tmp_path / "precious")
    options = small_fit(model_folder("t5"), write_toy(tmp_path / "data"), tmp_path / "run")
    ended = mpt("fit", *CONFIG, *options)
    assert ended.code == 2 and "metrics.jsonl leads out of its folder by a link" in ended.err
    options += ["--trainer.default_root_dir", tmp_path / "other", "--trainer.callbacks+=mpt.callbacks.KeepEarly"]
    options += ["--trainer.callbacks.steps=[2]", "--trainer.callbacks.folder=../x"]
    ended = mpt("fit", *CONFIG, *options)
    assert ended.code == 2 and "KeepEarly: folder '../x' is a place in the run's folder" in ended.err
