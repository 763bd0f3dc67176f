"""Study folders with scores made up by hand, as if their runs had been done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mpt.record.result import RunResult
from mpt.study.run.results import RunRecord
from mpt.study.scores.scores import Score, choose
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
    environment = {"device": "cpu", "versions": {"torch": "2"}}
    result = RunResult(metric="ACC", score=score, dev_score=dev, seconds=2.0, environment=environment)
    folder = f"{method}/{partition}" if partition else method
    return run_of(f"{folder}/{target}-{seed}-{rate}", method, "downstream", target, seed, rate, result, partition)


def run_of(
    key: str,
    method: str,
    stage: str,
    target: str | None,
    seed: int,
    rate: float | None = None,
    result: RunResult | None = None,
    partition: str | None = None,
) -> RunRecord:
    """A run, finished if it has a result."""
    return RunRecord(
        key=key,
        method=method,
        stage=stage,
        target=target,
        seed=seed,
        learning_rate=rate,
        result=result,
        partition=partition,
    )


def with_result(row: RunRecord, **changes: object) -> RunRecord:
    """A finished run with another result."""
    assert row.result is not None
    return replace(row, result=replace(row.result, **changes))


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
    runs = [{"key": record.key, **record.identity} for record in records]
    write_json(out / "study.json", {**content, **facts, "runs": runs})
    for row in records:
        if row.result is not None:
            told = {name: value for name, value in row.result.as_json().items() if value is not None}
            write_json(out / row.key / "result.json", {**row.identity, **told})


def write_curves(out: Path, curves: dict[tuple[str, str, int], list[float]], every: int = 10) -> list[Score]:
    """(method, target, seed) to the dev scores of its evaluations; the scores of those runs."""
    records = []
    for (method, target, seed), values in curves.items():
        row = record(method, target, seed, score=0.5, dev=max(values))
        lines = [{"step": every * (i + 1), "train/loss": 1.0, "dev/score": value} for i, value in enumerate(values)]
        lines.append({"step": every * len(values), "test/score": 0.5})
        path = out / row.key / "metrics.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        records.append(row)
    return choose(records)
