"""Time and peak memory of one prompt-tuning step: mpt and PEFT side by side, and what Lightning adds.

    python experiments/benchmarks/train_step.py
    python experiments/benchmarks/train_step.py --models mpt-tiny --steps 400 --repeats 9 --out train_step.csv
    python experiments/benchmarks/train_step.py --device cuda

Three ways to take the same step (same weights, prompt length 100, batch 8, inputs of 128 tokens, Adafactor,
dropout as the model has it; each way tokenises its texts, which the encoder remembers):

- ``peft``: a bare loop over ``get_peft_model(model, PromptTuningConfig(...))``;
- ``mpt``: the same loop over ``FrozenBackbone.loss``;
- ``lightning``: ``mpt fit --config experiments/prompt_tuning.yaml``, with that file's callbacks and logger.
  Options this script does not know go to it (``--trainer.logger false``), to see what each part costs.

Every measurement has a process of its own. Rounds take the ways in alternating order, and a ratio is the
median over rounds of the ratio within a round, so that a machine that slows down slows both sides. Times
are means over the steps after a warm-up. Where other programs run, trust the CPU time, which does not count
them.

Memory is measured twice, both above the point "model loaded, nothing trained". Tensors: the peak of what
torch's allocator hands out, on the CPU in one more step under the profiler; exact, and the same each time.
Process: the peak of the resident set, which the kernel keeps and is told to forget at that point (Linux);
it includes what the C library's allocator wastes, a few per cent that vary.
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
    examples,
    first_rows,
    forget_resident_peak,
    load_backbone,
    now,
    random_model,
    read_weights,
    resident,
    run_apart,
)

WAYS = ("peft", "mpt", "lightning")
PROMPT_LENGTH, BATCH, INPUT_LENGTH, TARGET_LENGTH = 100, 8, 128, 8
EXAMPLES = 64
TASK = "benchmark"
STEPS = {"t5-small": 10, "mpt-tiny": 300}
ROWS = (
    ("step_ms", "wall time per step [ms]"),
    ("cpu_ms", "CPU time per step [ms]"),
    ("peak_mb", "peak memory, tensors [MB]"),
    ("resident_mb", "peak memory, process [MB]"),
)


# The parent: models, data, rounds, table ------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--models", nargs="+", default=list(STEPS), help=f"{', '.join(SIZES)}, mpt-tiny or folders")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, help="timed steps of each measurement")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a measurement")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help="CSV file for every single measurement")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options, fit_options = parser.parse_known_args(arguments)
    if options.measure:
        return measure(json.loads(options.measure), fit_options)

    print(
        f"prompt {PROMPT_LENGTH}, batch {BATCH}, input {INPUT_LENGTH}, Adafactor, float32, {options.device}, "
        f"{options.threads} threads, {options.repeats} rounds; medians"
    )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as workspace:
        for model in options.models:
            folder = model_folder(model, Path(workspace))
            if folder is None:
                print(f"{model}: its weights are not here, so it is left out")
                continue
            job = {
                "folder": str(folder),
                "workspace": workspace,
                "steps": options.steps or STEPS.get(model, 10),
                "threads": options.threads,
                "device": options.device,
            }
            for number in range(options.repeats):
                for way in options.ways if number % 2 == 0 else reversed(options.ways):
                    result = run_apart(__file__, {**job, "way": way}, fit_options)
                    rows.append({"model": model, "way": way, "round": number, **result})
                    print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            report(model, [row for row in rows if row["model"] == model])
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["model"])
            writer.writeheader()
            writer.writerows(rows)


def model_folder(name: str, workspace: Path) -> Path | None:
    """A model's folder: one that is there, or a T5 of the named sizes with random weights made for this run."""
    from mpt.backbone.source import bundled_backbones, resolve

    if name in SIZES:
        return random_model(name, workspace)
    folder = bundled_backbones().get(name) or Path(resolve(name))
    return folder if (folder / "model.safetensors").is_file() else None


def report(model: str, rows: list[dict[str, Any]]) -> None:
    ways = [way for way in WAYS if any(row["way"] == way for row in rows)]
    pairs = [pair for pair in (("mpt", "peft"), ("lightning", "mpt")) if set(pair) <= set(ways)]
    header = [model, *ways, *("/".join(pair) for pair in pairs)]
    print("".join(f"{word:>16}" if i else f"{word:<26}" for i, word in enumerate(header)))
    for key, title in ROWS:
        values = {way: [row[key] for row in rows if row["way"] == way] for way in ways}
        cells = [f"{statistics.median(values[way]):.2f}" for way in ways]
        for above, below in pairs:
            ratios = [a / b if b else float("nan") for a, b in zip(values[above], values[below], strict=True)]
            cells.append(f"{statistics.median(ratios):.3f}")
        print(f"{title:<26}" + "".join(f"{cell:>16}" for cell in cells))


# The child: one measurement -------------------------------------------------------------------------------


class Meter:
    """Counts steps: warm-up, then timed ones, then one whose memory is traced."""

    def __init__(self, steps: int, warm_up: int, device: str) -> None:
        self.timed, self.warm_up, self.device = warm_up + steps, warm_up, device
        self.last = self.timed + 1
        self.count = 0

    def begin(self, model: Any) -> None:
        """The model is loaded, nothing is trained."""
        read_weights(model)
        self.before = forget_resident_peak()
        self.tensors = TensorPeak(self.device)
        if self.device == "cuda":  # its allocator counts all the time, at no cost
            self.tensors.start()

    def step(self) -> None:
        """A step is over."""
        self.count += 1
        if self.count == self.warm_up:
            self.start, self.cpu_start = now(self.device), time.process_time()
        elif self.count == self.timed:
            self.end, self.cpu_end = now(self.device), time.process_time()
            self.resident_peak = resident("VmHWM")
            if self.device == "cpu":
                self.tensors.start()
        elif self.count == self.last:
            self.tensor_peak = self.tensors.stop()

    def result(self) -> dict[str, float]:
        per_step = 1e3 / (self.timed - self.warm_up)
        return {
            "step_ms": (self.end - self.start) * per_step,
            "cpu_ms": (self.cpu_end - self.cpu_start) * per_step,
            "peak_mb": self.tensor_peak / 1e6,
            "resident_mb": (self.resident_peak - self.before) / 1e6,
        }


def measure(job: dict[str, Any], fit_options: list[str]) -> None:
    import torch

    torch.set_num_threads(job["threads"])
    # Past the first epoch, so that every text was tokenised once.
    meter = Meter(job["steps"], EXAMPLES // BATCH, job["device"])
    ways: dict[str, Callable[..., None]] = {"peft": by_peft, "mpt": by_mpt, "lightning": by_lightning}
    ways[job["way"]](job, meter, *([fit_options] if job["way"] == "lightning" else []))
    Path(job["result"]).write_text(json.dumps(meter.result()))


def bare_loop(backbone: Any, loss: Callable[[Any], Any], parameters: Any, meter: Meter) -> None:
    from mpt.learn.optimizers import PromptAdafactor

    optimizer = PromptAdafactor(parameters)
    meter.begin(backbone)
    for texts, targets in batches():
        batch = backbone.encode(texts, targets).to(meter.device)
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        meter.step()
        if meter.count == meter.last:
            return


def batches() -> Iterator[tuple[list[str], list[str]]]:
    rows = examples(EXAMPLES, INPUT_LENGTH)
    while True:
        for first in range(0, EXAMPLES, BATCH):
            inputs, targets = zip(*rows[first : first + BATCH], strict=True)
            yield list(inputs), list(targets)


def load(job: dict[str, Any]) -> tuple[Any, Any]:
    """The backbone in training mode, and the prompt that all ways start from."""
    backbone = load_backbone(job["folder"], INPUT_LENGTH, TARGET_LENGTH, job["device"])
    backbone.model.train()
    return backbone, first_rows(backbone, PROMPT_LENGTH)


def by_mpt(job: dict[str, Any], meter: Meter) -> None:
    from mpt.backbone.model import token_mean
    from mpt.prompt.soft import SoftPrompt

    backbone, start = load(job)
    prompt = SoftPrompt(start)
    bare_loop(backbone, lambda batch: token_mean(backbone.loss(prompt(), batch), batch), prompt.parameters(), meter)


def by_peft(job: dict[str, Any], meter: Meter) -> None:
    import torch
    from peft import PromptTuningConfig, TaskType, get_peft_model

    backbone, start = load(job)
    task = TaskType.CAUSAL_LM if backbone.decoder_only else TaskType.SEQ_2_SEQ_LM
    model = get_peft_model(backbone.model, PromptTuningConfig(task_type=task, num_virtual_tokens=PROMPT_LENGTH))
    model.to(job["device"]).train()
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    with torch.no_grad():
        learned[0][:PROMPT_LENGTH] = start

    def loss(batch: Any) -> Any:
        ids, labels = batch.input_ids, batch.labels
        if backbone.decoder_only:  # nothing is padded: all inputs are cut to one length, all answers are one
            ids, labels = torch.cat([ids, labels], 1), torch.cat([torch.full_like(ids, -100), labels], 1)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss

    bare_loop(backbone, loss, learned, meter)


def by_lightning(job: dict[str, Any], meter: Meter, fit_options: list[str]) -> None:
    """A fit as a user starts it; training alone is timed, the one evaluation comes after it."""
    from mpt.data.fewshot.files import write_tsv
    from mpt.data.tasks.task import Example
    from mpt.fit.command import run_lightning
    from mpt.fit.configs import find_config
    from mpt.learn import PromptTuning

    folder = Path.cwd() / TASK
    folder.mkdir()
    rows = [Example(source, (target,)) for source, target in examples(EXAMPLES, INPUT_LENGTH)]
    for split, part in (("train", rows), ("dev", rows[:1]), ("test", rows[:1])):
        write_tsv(folder / f"{TASK}_16_13_{split}.tsv", part)

    def begin(self: PromptTuning) -> None:
        meter.begin(self.backbone)

    def step(self: PromptTuning, *_: Any) -> None:
        meter.step()

    PromptTuning.on_train_start, PromptTuning.on_train_batch_end = begin, step  # type: ignore[assignment]
    run_lightning(
        [
            "fit",
            f"--config={find_config('prompt_tuning')}",
            f"--model.backbone={job['folder']}",
            f"--model.prompt_length={PROMPT_LENGTH}",
            f"--model.backbone_options.max_input_length={INPUT_LENGTH}",
            f"--model.backbone_options.max_target_length={TARGET_LENGTH}",
            f"--data.root={folder.parent}",
            f"--data.task={TASK}",
            "--data.metric=EM",
            "--data.seed=13",
            f"--data.batch_size={BATCH}",
            f"--trainer.max_steps={meter.last}",
            f"--trainer.val_check_interval={meter.last}",
            f"--trainer.default_root_dir={Path.cwd() / 'run'}",
            f"--trainer.accelerator={'gpu' if job['device'] == 'cuda' else 'cpu'}",
            "--trainer.devices=1",
            *fit_options,
        ]
    )


if __name__ == "__main__":
    main()
