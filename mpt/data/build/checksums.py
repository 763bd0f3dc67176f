"""The MD5 sums that CrossFit publishes for its few-shot files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("md5.json")


@cache
def published() -> Mapping[str, Mapping[str, str]]:
    """For each of the 160 tasks, the sum of each of its 15 files by file name, in hexadecimal digits.

    ``md5.json`` holds a task a line: the k of its file names, the one sum of its test files, which are the same for
    every seed, and those of its train and dev files by seed.
    """
    tasks = json.loads(_FILE.read_text(encoding="utf-8"))
    return {task: dict(_files(task, content)) for task, content in tasks.items()}


def _files(task: str, content: Mapping) -> list[tuple[str, str]]:
    k = content["k"]
    return [
        (f"{task}_{k}_{seed}_{split}.tsv", content["test"] if split == "test" else content[split][seed])
        for seed in content["train"]
        for split in ("train", "dev", "test")
    ]


def md5(path: Path) -> str:
    """The MD5 sum of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.md5(usedforsecurity=False)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
