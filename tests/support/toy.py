"""A task of a few short lines in CrossFit's format, and the command line run inside the test's own process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from mpt.cli.main import main

ROWS = {
    "train": [("a big dog", "yes"), ("a small cat", "no"), ("the big cat", "yes"), ("one small dog", "no")],
    "dev": [("that big dog", "yes"), ("that small dog", "no"), ("my big cat", "yes")],
    "test": [
        ("her big dog", "yes"),
        ("his small cat", "no"),
        ("a small fox", "no"),
        ("a big fox", "yes"),
        ("big", "yes"),
    ],
}


def write_toy(root: Path, task: str = "toy", seeds: tuple[int, ...] = (13,)) -> Path:
    """Write the task's folder under ``root`` and return ``root``."""
    folder = root / task
    folder.mkdir(parents=True)
    for seed in seeds:
        for split, rows in ROWS.items():
            text = "".join(f"{question}\t{answer}\n" for question, answer in rows)
            (folder / f"{task}_16_{seed}_{split}.tsv").write_text(text, encoding="utf-8")
    return root


@dataclass
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Mpt:
    """The command ``mpt`` as a callable: ``mpt("fit", "--config", …)``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Finished:
        self.capsys.readouterr()
        code = 0
        try:
            main([str(word) for word in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self.capsys.readouterr()
        return Finished(code, out, err)


def small_fit(model: Path, root: Path, folder: Path, **changes: object) -> list[object]:
    """Arguments of a fit of seconds; ``changes`` are dotted options with ``__`` for the dot."""
    options = {
        "model.backbone": model,
        "model.prompt_length": 4,
        "model.backbone_options.max_input_length": 32,
        "model.backbone_options.max_target_length": 4,
        "data.root": root,
        "data.task": "toy",
        "data.metric": "ACC",
        "trainer.default_root_dir": folder,
        "trainer.max_steps": 6,
        "trainer.val_check_interval": 2,
        "trainer.enable_progress_bar": "false",
        "trainer.accelerator": "cpu",
    }
    options |= {name.replace("__", "."): value for name, value in changes.items()}
    return [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]


def json_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
