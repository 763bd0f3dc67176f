"""CPU seconds that commands take before they do anything, and ``mpt fit`` before its first step.

    python experiments/benchmarks/startup.py
    python experiments/benchmarks/startup.py --repeats 5 --out startup.csv

Each command is a process of its own; its CPU seconds are those of user and system together, the smallest of the
repeats. ``mpt fit`` is measured up to its first step on mpt-tiny, beside the shortest script that does the same with
Lightning, its WandbLogger (offline, as mpt's) and transformers.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = (
    "--help",
    "fit --help",
    "configs list",
    "tasks",
    "partitions",
    "library list synthetic",
    "library show synthetic",
    "adapt missing.csv --library synthetic --out prompt",
    "study run missing.yaml",
)
FIRST_STEP = """
import time
from pytorch_lightning import Callback

class FirstStep(Callback):
    def on_train_batch_start(self, trainer, *_):
        with open("seconds.txt", "w") as file:
            file.write(str(time.process_time()))
        trainer.should_stop = True
"""
BARE = """
import sys
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.optimization import Adafactor
from first_step import FirstStep

class Bare(pl.LightningModule):
    def __init__(self, folder):
        super().__init__()
        self.model = AutoModelForSeq2SeqLM.from_pretrained(folder).requires_grad_(False)
        self.read = AutoTokenizer.from_pretrained(folder)
        self.prompt = torch.nn.Parameter(torch.randn(20, self.model.config.d_model))

    def training_step(self, batch, _):
        rows = self.model.get_input_embeddings()(batch)
        rows = torch.cat([self.prompt.expand(len(rows), -1, -1), rows], dim=1)
        return self.model(inputs_embeds=rows, labels=batch).loss

    def configure_optimizers(self):
        return Adafactor([self.prompt], lr=0.3, scale_parameter=False, relative_step=False)

bare = Bare(sys.argv[1])
rows = bare.read("two doctors repair a chair", return_tensors="pt")["input_ids"][0].expand(8, -1)
logger = WandbLogger(offline=True, save_dir=".")
trainer = pl.Trainer(max_steps=1, logger=logger, enable_checkpointing=False, callbacks=[FirstStep()])
trainer.fit(bare, torch.utils.data.DataLoader(rows, batch_size=8))
"""
FIT = (
    *("fit", "--config", "prompt_tuning", "--data.task", "syn-heat-report", "--model.prompt_length", "20"),
    *("--trainer.max_steps", "1", "--trainer.val_check_interval", "1", "--trainer.default_root_dir", "run"),
    "--trainer.callbacks+=first_step.FirstStep",
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each command (default: 3)")
    parser.add_argument("--out", type=Path, help="CSV file for the figures")
    options = parser.parse_args(arguments)
    from mpt.backbone.source import resolve

    figures: dict[str, float] = {}
    mpt = (sys.executable, "-m", "mpt")
    for command in COMMANDS:
        figures[f"mpt {command}"] = min(seconds(*mpt, *command.split()) for _ in range(options.repeats))
    figures["mpt fit, to its first step"] = min(to_first_step(*mpt, *FIT) for _ in range(options.repeats))
    bare = (sys.executable, "-c", BARE, resolve("mpt-tiny"))
    figures["Lightning, W&B and transformers alone"] = min(to_first_step(*bare) for _ in range(options.repeats))

    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:5.2f} s")
    if options.out is not None:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("command", "cpu_seconds"), *figures.items()])


def seconds(*command: str) -> float:
    """CPU seconds of a process, whatever it answers."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def to_first_step(*command: str) -> float:
    """CPU seconds of a training's process before its first step."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "first_step.py").write_text(FIRST_STEP, encoding="utf-8")
        quiet = {"WANDB_SILENT": "true", "WANDB_MODE": "offline", "PYTHONPATH": folder}
        done = subprocess.run(command, cwd=folder, env=os.environ | quiet, capture_output=True, text=True, check=False)
        try:
            return float((Path(folder) / "seconds.txt").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SystemExit(f"{command[:4]} made no step:\n{done.stderr[-2000:]}") from None


if __name__ == "__main__":
    main()
