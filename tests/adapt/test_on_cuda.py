"""``mpt adapt`` and the tuning of a library's prompts and keys on a GPU, or on one in name: as on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.small_models import t5
from support.toy import ROWS, write_toy

import mpt
from mpt.adapt.run import AdaptOptions
from mpt.cli.library_learn import add_learn_options, run_learn
from mpt.cli.options import Parser
from mpt.library.library import Library

pytestmark = [pytest.mark.usefixtures("cuda"), pytest.mark.long]


def test_keys_prompts_and_what_adapt_makes_of_them_are_the_cpus(tmp_path):
    model = t5(tmp_path / "t5", dropout_rate=0.0, initializer_factor=1.0)
    toys = write_toy(write_toy(tmp_path / "data", "one"), "two")
    for device in ("cpu", "cuda"):
        learn(model, toys, tmp_path / device, device)
        mpt.adapt(
            ROWS["train"],
            tmp_path / device,
            tmp_path / "found" / device,
            dev=ROWS["dev"],
            options=mpt.BackboneOptions(max_target_length=2),
            choices=AdaptOptions(steps=2, every=2, top=1),
            device=device,
            progress=False,
        )
    on_cpu, on_gpu = (Library.open(str(tmp_path / device)) for device in ("cpu", "cuda"))
    assert [entry.name for entry in on_gpu.entries()] == [entry.name for entry in on_cpu.entries()]
    for own, entry in zip(on_cpu.entries(), on_gpu.entries(), strict=True):
        torch.testing.assert_close(on_gpu.key(entry), on_cpu.key(own), rtol=0, atol=1e-4)
        torch.testing.assert_close(on_gpu.value(entry), on_cpu.value(own), rtol=0, atol=1e-4)
    prompts = [mpt.load_prompt(tmp_path / "found" / device).weight for device in ("cuda", "cpu")]
    torch.testing.assert_close(*prompts, rtol=0, atol=1e-4)


def learn(model: Path, root: Path, out: Path, device: str) -> None:
    parser = Parser(prog="mpt library learn")
    add_learn_options(parser)
    words = ["--backbone", model, "--root", root, "--out", out, "--tasks", "one", "two", "--metric", "QA-F1"]
    words += ["--prompt-length", 3, "--steps", 2, "--every", 2, "--key-steps", 1, "--at-once", 2, "--seeds", 13]
    words += ["--max-target-length", 2, "--rate", 0.003, "--device", device]
    assert run_learn(parser.parse_args([str(word) for word in words]))
