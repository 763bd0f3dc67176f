"""`mpt adapt` on real files, with a library and without, beside what a practitioner would try first.

    python experiments/benchmarks/adapt_english.py --root crossfit/fewshot --out adapt_english.csv

Each task is one draw of CrossFit's, written as CSV files of its train and dev examples and of some test examples at
even distances, so that all ways learn on the same rows, choose on the same and are tested on the same. Ways:

- ``library``: ``mpt adapt`` with the shipped library ``english``, whose source tasks are not these;
- ``own starts``: ``mpt adapt --library none``: sampled vocabulary and the label words;
- ``TF-IDF``: scikit-learn's logistic regression on TF-IDF of words and pairs, its strength chosen on dev;
- ``zero-shot`` and ``LoRA``: ``mpt fit --config english/lora`` with 0 steps and with as many as adapt's.

Scores are the task's metric in percent. CPU seconds are of whole commands, their start and the model's loading too.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpt.data.modules.few_shot import FewShotData
from mpt.library.library import Library
from mpt.metrics import crossfit as metrics

TASKS = ("glue-sst2", "tweet_eval-emotion", "sms_spam")
HEAD = ("task", "way", "dev", "test", "cpu_seconds")
COMMON = ("--max-input-length", "128", "--max-target-length", "8", "--precision", "bf16-mixed")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of CrossFit's few-shot files")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--draw", type=int, default=13)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--test", type=int, default=200, help="test examples")
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--library", default="english")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--out", type=Path, help="CSV file for the table")
    options = parser.parse_args(arguments)
    rows: list[list[str]] = []
    for task in options.tasks:
        data = FewShotData(task, options.root, options.draw, test_examples=options.test, test_choice="spread")
        data.setup()
        for way in options.ways:
            with tempfile.TemporaryDirectory() as folder:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                dev, test = WAYS[way](data, options, Path(folder))
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rows.append([task, way, f"{100 * dev:.1f}", f"{100 * test:.1f}", f"{seconds:.0f}"])
            print(" | ".join(rows[-1]), flush=True)
    if options.out is not None:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])


def with_library(data: FewShotData, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    return _adapt(data, options, folder, options.library)


def from_own_starts(data: FewShotData, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    chat = ["--chat-template"] if _reads_chats(options) else []
    return _adapt(data, options, folder, "none", "--rate", "0.01", *chat)


def _reads_chats(options: argparse.Namespace) -> bool:
    """Whether inputs are turns of a chat with the library, and so in every way."""
    return Library.open(options.library).recipe.chat_template


def _adapt(
    data: FewShotData, options: argparse.Namespace, folder: Path, library: str, *more: str
) -> tuple[float, float]:
    for split in ("train", "dev", "test"):
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *_pairs(data, split)])
    assert data.task is not None
    words = ["adapt", folder / "train.csv", "--dev", folder / "dev.csv", "--test", folder / "test.csv"]
    words += ["--backbone", options.backbone, "--library", library, "--metric", data.task.metric]
    words += ["--steps", options.steps, "--every", options.every, "--out", folder / "prompt", *COMMON, *more]
    _mpt(*words)
    facts = json.loads((folder / "prompt" / "mpt.json").read_text(encoding="utf-8"))
    return facts["dev_score"], facts["test_score"]


def by_tf_idf(data: FewShotData, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    assert data.task is not None
    (texts, labels), (dev, gold), (unseen, right) = (
        zip(*_pairs(data, split), strict=True) for split in ("train", "dev", "test")
    )
    best: tuple[float, Any] = (-1.0, None)
    for strength in (0.1, 1.0, 10.0, 100.0):
        vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        model = make_pipeline(vectors, LogisticRegression(C=strength, max_iter=1000)).fit(texts, labels)
        score = metrics.score(data.task.metric, list(model.predict(dev)), [(one,) for one in gold])
        best = max(best, (score, model), key=lambda pair: pair[0])
    return best[0], metrics.score(data.task.metric, list(best[1].predict(unseen)), [(one,) for one in right])


def zero_shot(data: FewShotData, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    return _lora(data, options, folder, 0)


def by_lora(data: FewShotData, options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    return _lora(data, options, folder, options.steps)


def _lora(data: FewShotData, options: argparse.Namespace, folder: Path, steps: int) -> tuple[float, float]:
    words = ["--config", "english/lora", "--model.backbone", options.backbone, "--data.task", data.task_name]
    words += ["--data.root", data.root, "--data.seed", data.seed, "--data.test_examples", options.test]
    words += ["--trainer.max_steps", steps, "--trainer.val_check_interval", options.every]
    words += ["--trainer.logger", "false", "--trainer.default_root_dir", folder / "run"]
    words += ["--model.backbone_options.chat_template", str(_reads_chats(options)).lower()]
    for command in ("fit", "test"):
        _mpt(command, *words)
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    dev = [row["dev/score"] for row in rows if "dev/score" in row]
    return max(dev, default=float("nan")), rows[-1]["test/score"]


WAYS: dict[str, Callable[[FewShotData, argparse.Namespace, Path], tuple[float, float]]] = {
    "TF-IDF": by_tf_idf,
    "zero-shot": zero_shot,
    "own starts": from_own_starts,
    "library": with_library,
    "LoRA": by_lora,
}


def _pairs(data: FewShotData, split: str) -> list[tuple[str, str]]:
    return [(example.input, example.targets[0]) for _, example in data._rows(split)]  # type: ignore[arg-type]


def _mpt(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mpt", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "WANDB_MODE": "disabled"},
    )
    if done.returncode:
        sys.exit(f"mpt {words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
