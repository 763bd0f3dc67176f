"""A study of seven runs, and what its folder holds in the end, however often it was killed on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from support.changes import changed
from support.study_command import results
from support.toy_study import RATES, STUDY, write_study

RUNS = 2 + 1 + 2 + 2  # PT, MTL upstream and downstream, FT
MAY_DIFFER = ("seconds", "resumed", "environment")
KEPT = ("config.yaml", "metrics.jsonl", "predictions.jsonl", "started.json", "result.json", "prompt", "model")


def write_seven(folder: Path, backbone: Path | str) -> Path:
    """One seed, one learning rate, and nothing for W&B."""
    changes = {"seeds": [13], RATES: [], ("overrides", "trainer.logger"): False}
    return write_study(folder, backbone, changed(STUDY, changes))


def content(out: Path) -> dict[str, bytes]:
    """Every result file of a study, without what tells when and where it was made."""
    found = {}
    for key in results(out):
        for path in (path for name in KEPT for path in (out / key).glob(f"{name}/*" if "." not in name else name)):
            read = path.read_bytes().replace(str(out).encode(), b"OUT")
            if path.name == "result.json":
                kept = {name: value for name, value in json.loads(read).items() if name not in MAY_DIFFER}
                read = json.dumps(kept).encode()
            found[str(path.relative_to(out))] = read
    return found


def times_done(out: Path) -> dict[str, tuple[int, int]]:
    """How often each run was started and finished, by its log."""
    logs = {key: (out / key / "log.txt").read_text() for key in results(out)}
    return {key: (log.count("study: mpt fit"), log.count("study: finished")) for key, log in logs.items()}


def wait_for(what: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
