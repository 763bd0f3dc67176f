"""Study folders with scores made up by hand, as if their runs had been done."""

from __future__ import annotations

from pathlib import Path

from mpt.study.run.results import RunRecord
from mpt.util.files import write_json

#           PT           MTL           (score on target a, score on target b)
BY_SEED = {13: ((0.50, 0.40), (0.75, 0.50)), 21: ((0.80, 0.20), (0.60, 0.25))}


def record(
    method: str,
    target: str,
    seed: int,
    score: float,
    dev: float = 0.5,
    rate: float | None = None,
    partition: str | None = None,
) -> RunRecord:
    result = {
        "metric": "ACC",
        "score": score,
        "dev_score": dev,
        "seconds": 2.0,
        "device": "cpu",
        "versions": {"torch": "2"},
    }
    folder = f"{method}/{partition}" if partition else method
    return RunRecord(
        f"{folder}/{target}-{seed}-{rate}", method, "downstream", target, seed, rate, result, partition=partition
    )


def one_partition() -> list[RunRecord]:
    """PT and MTL with the scores of :data:`BY_SEED`."""
    rows = []
    for seed, (pt, mtl) in BY_SEED.items():
        for method, scores in (("PT", pt), ("MTL", mtl)):
            rows += [record(method, target, seed, score) for target, score in zip("ab", scores, strict=True)]
    return rows


def setting(name: str, *targets: str) -> dict[str, object]:
    return {"name": name, "given": f"{name}.yaml", "targets": targets, "sources": ["s"]}


def write_folder(out: Path, records: list[RunRecord], **facts: object) -> None:
    content = {
        "name": "hand",
        "file": "hand.yaml",
        "backbone": "mpt-tiny",
        "root": "synthetic",
        "settings": [setting("p", "a", "b")],
        "baseline": "PT",
        "methods": ["PT", "MTL", "FT"],
        "seeds": [13, 21],
    }
    names = ("key", "method", "stage", "target", "seed", "learning_rate", "partition")
    runs = [{name: getattr(record, name) for name in names} for record in records]
    write_json(out / "study.json", {**content, **facts, "runs": runs})
    for row in records:
        if row.result is not None:
            write_json(out / row.key / "result.json", row.result)
