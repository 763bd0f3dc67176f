"""Time and memory of a decoder-only model's steps and evaluations, mpt and PEFT in one run, over real tasks' lengths.

    python experiments/benchmarks/causal_step.py --out causal_step.csv
    python experiments/benchmarks/causal_step.py --models llama-1b --tasks glue-sst2 boolq --prompt-lengths 100
    python experiments/benchmarks/causal_step.py --device cuda --precision bf16 --models llama-1b

For each task and prompt length, after each other in one process and on the same weights and rows:

- ``step``: loss and gradient of a prompt on 8 rows, ``FrozenBackbone.loss`` against ``get_peft_model(model,
  PromptTuningConfig(...))`` on rows padded as a collator pads them; the mean over ``--batches`` batches, and the peak
  of the tensors in a step before;
- ``evaluation``: greedy answers to 64 rows and the losses of their targets, ``FrozenBackbone.answer`` against PEFT's
  ``generate`` and ``forward``, both in batches of 32, with as many new tokens as the longest of the task's targets.

Losses of both are compared, and a difference ends the run. What is printed are medians over tasks of ratios within a
task; CPU time does not count other programs. Rows are random tokens in the numbers that 64 rows of real tasks have
(``lengths.json``: input and target, SmolLM2's tokens, draws 13 and 21 of CrossFit; ``--count-lengths ROOT`` writes it
anew from few-shot files, with the tokenizer of the first of ``--models``). ``llama-135m`` (SmolLM2's shape),
``llama-360m`` and ``llama-1b`` have random weights; other models are names or folders of backbones.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import (  # type: ignore[import-not-found]  # beside this script
    SIZES,
    TensorPeak,
    load_backbone,
    now,
    random_model,
    read_weights,
)

LENGTHS = Path(__file__).with_name("lengths.json")
TASKS = (
    *("ag_news", "aeslc", "boolq", "break-QDMR", "commonsense_qa", "ethos-race", "glue-cola", "glue-mrpc"),
    *("glue-qqp", "glue-sst2", "superglue-rte", "tweet_eval-emotion"),
)
ROWS, BATCH, EVALUATED = 64, 8, 32
INPUT_LENGTH, TARGET_LENGTH = 512, 64
WAYS = ("peft", "mpt")
FIELDS = ("model", "prompt_length", "task", "what", "way", "seconds", "cpu_seconds", "peak_mb")
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--models", nargs="+", default=["llama-135m"])
    parser.add_argument("--prompt-lengths", nargs="+", type=int, default=[100, 20])
    parser.add_argument("--tasks", nargs="+", help="of lengths.json; all if not given")
    parser.add_argument("--batches", type=int, default=2, help="timed steps of each way and task")
    parser.add_argument("--what", nargs="+", default=["step", "evaluation"], choices=["step", "evaluation"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="bf16: autocast, both ways")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help="CSV file for every measurement; what it has is not measured again")
    parser.add_argument("--count-lengths", type=Path, metavar="ROOT", help="write lengths.json and stop")
    options = parser.parse_args(arguments)
    if options.count_lengths:
        return count_lengths(options.models[0], options.count_lengths)
    known = json.loads(LENGTHS.read_text())
    tasks = options.tasks or list(known)
    if unknown := sorted(set(tasks) - set(known)):
        parser.error(f"--tasks: {', '.join(unknown)} is not in {LENGTHS.name}; known are {', '.join(known)}")

    import torch

    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.precision}, {options.threads} threads; medians over {len(tasks)} tasks")
    rows = read(options.out) if options.out else []
    done = {(row["model"], row["prompt_length"], row["task"]) for row in rows}
    with tempfile.TemporaryDirectory() as workspace:
        for model in options.models:
            folder = str(random_model(model, Path(workspace)) if model in SIZES else model)
            backbone = load_backbone(folder, INPUT_LENGTH, TARGET_LENGTH, options.device)
            read_weights(backbone)
            for prompt_length in options.prompt_lengths:
                for number, task in enumerate(tasks):
                    if (model, prompt_length, task) in done:
                        continue
                    lengths = [tuple(pair) for pair in known[task]]
                    for row in measured(backbone, lengths, prompt_length, options, number % 2 == 0):
                        rows.append({"model": model, "prompt_length": prompt_length, "task": task, **row})
                    if options.out:
                        write(options.out, rows)
                    print(".", end="", file=sys.stderr, flush=True)
                print(file=sys.stderr)
                report(model, prompt_length, rows)
            del backbone
    if options.out:
        print(f"written to {options.out}")


def measured(
    backbone: Any, lengths: list[tuple[int, ...]], prompt_length: int, options: argparse.Namespace, peft_first: bool
) -> Iterator[Row]:
    """A row for each way of a step and of an evaluation on rows of the lengths."""
    import torch

    batch = drawn(backbone, lengths, options.device)
    prompt = backbone.embeddings[torch.arange(prompt_length, device=options.device) % len(backbone.embeddings)]
    ways = WAYS if peft_first else WAYS[::-1]
    peft = PromptOfPeft(backbone, prompt)
    first = part(batch, 0, BATCH)
    autocast = torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16")

    def step(way: str, rows: Any) -> float:
        with autocast:
            loss = peft.loss(rows) if way == "peft" else mean_loss(backbone, leaf, rows)
        loss.backward()
        return float(loss.detach())

    leaf = prompt.clone().requires_grad_()

    def steps(way: str) -> None:
        for number in range(options.batches):
            step(way, part(batch, number * BATCH, BATCH))

    losses, peaks = {}, {}
    for way in ways:
        tensors = TensorPeak(options.device)
        tensors.start()
        losses[way] = step(way, first)
        peaks[way] = tensors.stop() / 1e6
    if abs(losses["mpt"] - losses["peft"]) > (0.02 if options.precision == "bf16" else 1e-4) * losses["peft"]:
        raise SystemExit(f"the losses differ: {losses['mpt']} by mpt, {losses['peft']} by PEFT")
    for way in ways if "step" in options.what else ():
        seconds, cpu_seconds = (spent / options.batches for spent in timed(steps, way, options.device))
        yield {"what": "step", "way": way, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peaks[way]}
    most = max(target for _, target in lengths)
    backbone.generation.max_new_tokens = min(most, TARGET_LENGTH)

    def evaluate(way: str) -> None:
        for begin in range(0, len(batch), EVALUATED):
            rows = part(batch, begin, EVALUATED)
            with torch.no_grad(), autocast:
                if way == "peft":
                    peft.loss(rows)
                    peft.answer(rows, backbone.generation.max_new_tokens)
                else:
                    backbone.answer(prompt, rows)

    for way in ways if "evaluation" in options.what else ():
        seconds, cpu_seconds = timed(evaluate, way, options.device)
        yield {"what": "evaluation", "way": way, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": 0.0}


def timed(work: Callable[[str], None], way: str, device: str) -> tuple[float, float]:
    """Wall and CPU seconds."""
    start, cpu_start = now(device), time.process_time()
    work(way)
    return now(device) - start, time.process_time() - cpu_start


def mean_loss(backbone: Any, prompt: Any, batch: Any) -> Any:
    from mpt.backbone.model import token_mean

    return token_mean(backbone.loss(prompt, batch), batch)


class PromptOfPeft:
    """The same prompt as PEFT tunes it: rows are padded, and every position has logits."""

    def __init__(self, backbone: Any, prompt: Any) -> None:
        import torch
        from peft import PromptTuningConfig, TaskType, get_peft_model

        config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=len(prompt))
        self.model = get_peft_model(backbone.model, config).to(prompt.device)
        self.pad_id, self.end = backbone.encode.pad_id, backbone.generation.eos_token_id
        (weight,) = [weight for weight in self.model.parameters() if weight.requires_grad]
        with torch.no_grad():
            weight.copy_(prompt)

    def loss(self, batch: Any) -> Any:
        """The mean over target tokens."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        ids, labels = [], []
        for source, mask, target in zip(batch.input_ids, batch.input_mask, batch.labels, strict=True):
            read, written = source[mask.bool()], target[target >= 0]
            ids.append(torch.cat([read, written]))
            labels.append(torch.cat([torch.full_like(read, -100), written]))
        mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        padded = pad_sequence(ids, batch_first=True, padding_value=self.pad_id)
        wanted = pad_sequence(labels, batch_first=True, padding_value=-100)
        return self.model(input_ids=padded, attention_mask=mask, labels=wanted).loss

    def answer(self, batch: Any, new_tokens: int) -> Any:
        """Greedy answers; inputs are padded on the left."""
        return self.model.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.input_mask,
            max_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=self.pad_id,
            eos_token_id=self.end,
        )


def drawn(backbone: Any, lengths: list[tuple[int, ...]], device: str) -> Any:
    """A batch of random tokens, inputs padded on the left."""
    import torch

    from mpt.backbone.encoding import IGNORED, Batch

    generator = torch.Generator().manual_seed(0)
    inputs, targets = (max(sizes) for sizes in zip(*lengths, strict=True))
    tokens = backbone.model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(10, tokens, (len(lengths), inputs), generator=generator)
    labels = torch.randint(10, tokens, (len(lengths), targets), generator=generator)
    sizes = torch.tensor(lengths)
    mask = (torch.arange(inputs) >= inputs - sizes[:, :1]).long()
    labels[torch.arange(targets) >= sizes[:, 1:]] = IGNORED
    return Batch(ids.where(mask == 1, backbone.encode.pad_id), mask, labels).to(device)


def part(batch: Any, begin: int, rows: int) -> Any:
    """Some rows, without the padding that none of them needs."""
    import torch

    from mpt.backbone.grouping import select

    return select(batch, torch.arange(begin, begin + rows) % len(batch), pad_left=True)


def count_lengths(name: str, root: Path) -> None:
    """Tokens of input and target of the first rows of each task."""
    from mpt.data.fewshot.files import read_tsv

    backbone = load_backbone(name, INPUT_LENGTH, TARGET_LENGTH, "cpu")
    found = {}
    for task in TASKS:
        splits = [f"*_{seed}_{split}.tsv" for seed in (13, 21) for split in ("train", "dev")]
        files = [path for split in splits for path in root.glob(f"{task}/{split}")]
        examples = [example for path in files for example in read_tsv(path)][:ROWS]
        batch = backbone.encode([row.input for row in examples], [row.targets[0] for row in examples])
        found[task] = torch_pairs(batch)
    text = ",\n".join(f"  {json.dumps(task)}: {json.dumps(pairs)}" for task, pairs in found.items())
    LENGTHS.write_text(f"{{\n{text}\n}}\n")
    print(f"written to {LENGTHS}")


def torch_pairs(batch: Any) -> list[list[int]]:
    return [list(pair) for pair in zip(batch.input_mask.sum(1).tolist(), batch.target_lengths.tolist(), strict=True)]


def read(out: Path) -> list[Row]:
    """What an earlier run measured."""
    if not out.is_file():
        return []
    with out.open(newline="") as file:
        return [
            {
                name: float(value) if name in FIELDS[-3:] else int(value) if name == "prompt_length" else value
                for name, value in row.items()
            }
            for row in csv.DictReader(file)
        ]


def write(out: Path, rows: list[Row]) -> None:
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def report(model: str, prompt_length: int, rows: list[Row]) -> None:
    """Medians over tasks of the figures and of the ratios within a task."""
    own = [row for row in rows if row["model"] == model and row["prompt_length"] == prompt_length]
    heads = (*WAYS, "mpt/peft", "least", "most")
    print(f"{f'{model}, P = {prompt_length}':<34}" + "".join(f"{head:>12}" for head in heads))
    for what, key, title in (
        ("step", "cpu_seconds", "step, CPU seconds"),
        ("step", "seconds", "step, seconds"),
        ("step", "peak_mb", "step, peak of tensors [MB]"),
        ("evaluation", "cpu_seconds", "evaluation, CPU seconds"),
        ("evaluation", "seconds", "evaluation, seconds"),
    ):
        values = {way: [row[key] for row in own if (row["what"], row["way"]) == (what, way)] for way in WAYS}
        if not values["mpt"]:
            continue
        ratios = [ours / theirs for ours, theirs in zip(values["mpt"], values["peft"], strict=True)]
        figures = [f"{statistics.median(values[way]):.3f}" for way in WAYS]
        figures += [f"{figure:.3f}" for figure in (statistics.median(ratios), min(ratios), max(ratios))]
        print(f"{title:<34}" + "".join(f"{figure:>12}" for figure in figures))


if __name__ == "__main__":
    main()
