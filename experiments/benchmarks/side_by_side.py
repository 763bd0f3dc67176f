"""Downstream runs per minute: several side by side, one at a time, and one by one in a plain PEFT loop.

    python experiments/benchmarks/side_by_side.py
    python experiments/benchmarks/side_by_side.py --sizes 16 --threads 2 --repeats 3 --out side_by_side.csv
    python experiments/benchmarks/side_by_side.py --device cuda --model t5-base --prompt-length 100 --precision bf16

A run is what a study does downstream: prompt tuning on one few-shot task (batch 8, Adafactor), dev scored by
generation at an interval, the prompt that was best on dev tested once. The runs are the same in every way: four tasks
of the synthetic suite, several rates and seeds, one start each. The model is loaded once and not timed.

- ``peft``: one by one, a plain loop over ``get_peft_model(model, PromptTuningConfig(...))`` whose texts are tokenised
  once, with ``DataLoader`` and transformers' padding collator;
- ``fit``: one at a time as ``mpt study`` does without packs: ``mpt fit`` and ``mpt test`` in one warm process, with its
  parsing, callbacks and files, without W&B; the model is loaded anew each time;
- a number: so many runs side by side, which also compute the dev loss.

Every measurement has a process of its own. Rounds take the ways in alternating order, and a gain is the median over
rounds of the ratio within a round. Where other programs run, trust the CPU time, which does not count them.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import SIZES as MODELS  # type: ignore[import-not-found]
from measuring import now, random_model, read_weights, run_apart

TASKS = ("syn-age-blog", "syn-find-hour", "syn-paraphrase-swap", "syn-sentiment-tweet")
RATES, SEEDS = (0.5, 0.4, 0.3, 0.2), (13, 21, 42, 87)
SIZES = (1, 4, 8, 16, 32)
BATCH, EVAL_BATCH, INPUT_LENGTH, TARGET_LENGTH = 8, 32, 512, 64


@dataclass(frozen=True)
class Run:
    """One of the runs."""

    task: str
    rate: float
    seed: int


def runs(number: int) -> list[Run]:
    """The first so many; every four are of the four tasks."""
    cycle = [Run(task, rate, seed) for seed in SEEDS for rate in RATES for task in TASKS]
    return cycle[:number]


# The parent: rounds and table -----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", default="mpt-tiny", help="mpt-tiny, a folder, or random weights of a T5's sizes")
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="how many runs side by side")
    parser.add_argument("--alone", nargs="*", default=["peft", "fit"], choices=["peft", "fit"])
    parser.add_argument("--runs", type=int, default=4, help="runs of each way that does one at a time")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=50, help="steps between evaluations")
    parser.add_argument("--prompt-length", type=int, default=20)
    parser.add_argument(
        "--precision", default="float32", choices=["float32", "bf16"], help="bf16: autocast, in all ways"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a measurement")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help="CSV file for every single measurement")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        return measure(json.loads(options.measure))

    ways = [*options.alone, *map(str, options.sizes)]
    print(
        f"{options.model}, prompt {options.prompt_length}, batch {BATCH}, {options.steps} steps, dev every "
        f"{options.every}, {options.precision}, {options.device}, {options.threads} threads, {options.repeats} rounds"
    )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as workspace:
        folder = str(random_model(options.model, Path(workspace)) if options.model in MODELS else options.model)
        names = ("runs", "steps", "every", "prompt_length", "precision", "threads", "device")
        job = {"folder": folder, "workspace": workspace, **{name: getattr(options, name) for name in names}}
        for number in range(options.repeats):
            for way in ways if number % 2 == 0 else reversed(ways):
                rows.append({"way": way, "round": number, **run_apart(__file__, {**job, "way": way})})
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    report(ways, rows)
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def report(ways: list[str], rows: list[dict[str, Any]]) -> None:
    base = "peft" if "peft" in ways else ways[0]
    header = ("", "runs per minute", f"/{base}", "per CPU minute", f"/{base}")
    print("".join(f"{word:>18}" for word in header))
    for way in ways:
        cells = [way if way in ("peft", "fit") else f"{way} side by side"]
        for clock in ("seconds", "cpu_seconds"):
            pairs = [(row, by(rows, base, row["round"])) for row in rows if row["way"] == way]
            cells.append(f"{statistics.median(60 * row['runs'] / row[clock] for row, _ in pairs):.1f}")
            gains = [other[clock] / other["runs"] * row["runs"] / row[clock] for row, other in pairs]
            cells.append(f"{statistics.median(gains):.2f}")
        print("".join(f"{cell:>18}" for cell in cells))


def by(rows: list[dict[str, Any]], way: str, number: int) -> dict[str, Any]:
    return next(row for row in rows if (row["way"], row["round"]) == (way, number))


# The child: one measurement -------------------------------------------------------------------------------


def measure(job: dict[str, Any]) -> None:
    import torch

    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    torch.set_num_threads(job["threads"])
    alone = {"peft": by_peft, "fit": by_fit}
    if job["way"] in alone:
        told = alone[job["way"]](job, runs(job["runs"]))
    else:
        size = int(job["way"])
        told = by_side(job, runs(max(size, job["runs"])), size)
    Path(job["result"]).write_text(json.dumps(told))


class Clock:
    """Wall and CPU time from its making on."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.wall, self.cpu = now(device), time.process_time()

    def result(self, number: int, scores: list[float]) -> dict[str, float]:
        wall = now(self.device) - self.wall
        cpu = time.process_time() - self.cpu
        return {"runs": number, "seconds": wall, "cpu_seconds": cpu, "mean_score": statistics.mean(scores)}


def load(job: dict[str, Any]) -> Any:
    from measuring import load_backbone

    backbone = load_backbone(job["folder"], INPUT_LENGTH, TARGET_LENGTH, job["device"])
    read_weights(backbone)
    return backbone


def autocast(job: dict[str, Any]) -> Any:
    import torch

    return torch.autocast(job["device"], torch.bfloat16, enabled=job["precision"] == "bf16")


def start(backbone: Any, run: Run, length: int) -> Any:
    """Embeddings of common tokens, ``[P, H]``."""
    import torch

    table = backbone.embeddings
    generator = torch.Generator().manual_seed(run.seed)
    return table[torch.randperm(min(1000, len(table)), generator=generator)[:length].to(table.device)]


def draw(run: Run) -> Any:
    from mpt.data.modules.few_shot import FewShotData

    data = FewShotData(run.task, seed=run.seed, batch_size=BATCH, eval_batch_size=EVAL_BATCH)
    data.setup()
    return data


def by_side(job: dict[str, Any], wanted: list[Run], size: int) -> dict[str, float]:
    import torch
    from torch import nn

    from mpt.learn import PromptAdafactor
    from mpt.learn.side_by_side import PackedRun, SideBySide

    backbone = load(job)
    kind = torch.bfloat16 if job["precision"] == "bf16" else None
    clock, scores = Clock(job["device"]), []
    for first in range(0, len(wanted), size):
        packed = []
        for number, run in enumerate(wanted[first : first + size]):
            prompt = nn.Parameter(start(backbone, run, job["prompt_length"]))
            packed.append(PackedRun(str(number), draw(run), prompt, PromptAdafactor([prompt], lr=run.rate)))
        pack = SideBySide(backbone, packed, max_steps=job["steps"], every=job["every"], autocast=kind)
        pack.fit()
        scores += [score for _, score in pack.test().values()]
    return clock.result(len(wanted), scores)


def by_peft(job: dict[str, Any], wanted: list[Run]) -> dict[str, float]:
    backbone = load(job)
    clock = Clock(job["device"])
    return clock.result(len(wanted), [peft_run(job, backbone, run) for run in wanted])


def peft_run(job: dict[str, Any], backbone: Any, run: Run) -> float:
    """A run as PEFT's own examples go, with the dev-best prompt tested; its test score."""
    import torch
    from peft import PromptTuningConfig, TaskType, get_peft_model
    from torch.utils.data import DataLoader
    from transformers import DataCollatorForSeq2Seq

    from mpt.learn import PromptAdafactor
    from mpt.metrics import crossfit as metrics

    tokenizer, data, length = backbone.tokenizer, draw(run), job["prompt_length"]
    config = PromptTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=length)
    model = get_peft_model(backbone.model, config).to(job["device"])
    (weight,) = (weight for weight in model.parameters() if weight.requires_grad)
    with torch.no_grad():
        weight[:length] = start(backbone, run, length)
    optimizer = PromptAdafactor([weight], lr=run.rate)
    pad = DataCollatorForSeq2Seq(tokenizer, return_tensors="pt")

    def tokenised(examples: Any) -> list[dict[str, Any]]:
        targets = tokenizer(text_target=[example.targets[0] for example in examples])["input_ids"]
        made = tokenizer([example.input for example in examples])
        return [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
            for ids, labels in zip(made["input_ids"], targets, strict=True)
        ]

    def score(examples: Any) -> float:
        model.eval()
        told: list[str] = []
        with torch.no_grad(), autocast(job):
            rows: Any = tokenised(examples)
            for batch in DataLoader(rows, EVAL_BATCH, collate_fn=pad):
                batch = batch.to(job["device"])
                ids = model.generate(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=TARGET_LENGTH
                )
                told += [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
        model.train()
        return metrics.score(data.task.metric, told, [example.targets for example in examples])

    def stream() -> Iterator[Any]:
        rows: Any = tokenised(data.fewshot.train)
        loader: Any = DataLoader(rows, BATCH, shuffle=True, collate_fn=pad)
        while True:
            yield from loader

    best, kept = -1.0, weight.detach().clone()
    model.train()
    for step, batch in zip(range(1, job["steps"] + 1), stream(), strict=False):
        optimizer.zero_grad()
        with autocast(job):
            loss = model(**batch.to(job["device"])).loss
        loss.backward()
        optimizer.step()
        if step % job["every"] == 0 and (dev := score(data.fewshot.dev)) > best:
            best, kept = dev, weight.detach().clone()
    with torch.no_grad():
        weight.copy_(kept)
    return score(data.fewshot.test)


def by_fit(job: dict[str, Any], wanted: list[Run]) -> dict[str, float]:
    import logging

    from mpt.fit.command import run_lightning
    from mpt.fit.configs import find_config

    def once(number: int, run: Run, steps: int) -> float:
        logging.disable()
        cli = run_lightning(
            [
                "fit",
                f"--config={find_config('prompt_tuning')}",
                f"--seed_everything={run.seed}",
                f"--model.backbone={job['folder']}",
                f"--model.prompt_length={job['prompt_length']}",
                f"--model.optimizer.lr={run.rate}",
                f"--data.task={run.task}",
                f"--data.seed={run.seed}",
                f"--trainer.max_steps={steps}",
                f"--trainer.val_check_interval={min(steps, job['every'])}",
                f"--trainer.default_root_dir={Path.cwd() / str(number)}",
                f"--trainer.precision={'bf16-mixed' if job['precision'] == 'bf16' else '32-true'}",
                f"--trainer.accelerator={'gpu' if job['device'] == 'cuda' else 'cpu'}",
                "--trainer.devices=1",
                "--trainer.enable_progress_bar=false",
                "--trainer.logger=false",
            ]
        )
        (result,) = cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
        return result["test/score"]

    once(-1, wanted[0], 2)  # what a worker imports and makes once
    clock = Clock(job["device"])
    return clock.result(len(wanted), [once(number, run, job["steps"]) for number, run in enumerate(wanted)])


if __name__ == "__main__":
    main()
