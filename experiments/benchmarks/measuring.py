"""What the benchmarks share: processes of their own, models, texts, clocks and two views of peak memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

T5_SIZES: dict[str, dict[str, Any]] = {
    "t5-256": {
        "d_model": 256,
        "d_kv": 32,
        "num_heads": 8,
        "d_ff": 1024,
        "num_layers": 4,
        "feed_forward_proj": "gated-gelu",
    },
    "t5-small": {},
    "t5-base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "t5-large": {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
    "t5-v1_1-small": {"d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu"},
    "t5-v1_1-base": {
        "d_model": 768,
        "d_ff": 2048,
        "num_layers": 12,
        "num_heads": 12,
        "feed_forward_proj": "gated-gelu",
    },
}
"""Sizes of the T5s that a benchmark can make, with random weights, where they differ from ``T5Config()``."""

LLAMA_SIZES: dict[str, dict[str, Any]] = {
    "llama-135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "llama-360m": {
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "vocab_size": 49152,
    },
    "llama-1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
}
"""Sizes of the Llamas that a benchmark can make, with random weights: SmolLM2's two smaller ones and Llama 3.2's."""

SIZES = {**T5_SIZES, **LLAMA_SIZES}


class NotFinished(SystemExit):
    """A measurement that gave no result: what it printed, its exit status, and its last line."""

    def __init__(self, what: str, done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{what} did not finish:\n{done.stdout}{done.stderr}")
        self.status = done.returncode
        lines = done.stderr.strip().splitlines()
        self.reason = f"killed by signal {-done.returncode}" if done.returncode < 0 else (lines or ["no message"])[-1]


def run_apart(script: str, job: dict[str, Any], arguments: list[str] | None = None) -> dict[str, Any]:
    """One measurement in a process of its own: ``script --measure JOB``, which writes its result as JSON.

    Args:
        script: file of the benchmark.
        job: with ``way``, ``threads`` and a folder ``workspace`` to work in; the process finds the file to write
            as ``result``.
        arguments: more of them.

    Raises:
        NotFinished: if there is no result.
    """
    threads = str(job["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory(dir=job["workspace"]) as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, script, "--measure", json.dumps({**job, "result": str(result)}), *(arguments or [])]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        if not result.is_file():
            raise NotFinished(job["way"], done)
        return json.loads(result.read_text())


def random_model(name: str, workspace: Path) -> Path:
    """Folder of a model of the named sizes with random weights, made in ``workspace``."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    from mpt.backbone.source import ASSETS

    logging.disable_progress_bar()
    torch.manual_seed(0)
    if name in LLAMA_SIZES:
        LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **LLAMA_SIZES[name])).save_pretrained(workspace / name)
    else:
        config = T5Config(**T5_SIZES[name])
        config.decoder_start_token_id = 0
        assert config.vocab_size == 32128
        T5ForConditionalGeneration(config).save_pretrained(workspace / name)
    # Any tokenizer serves: the ids it knows are a part of the table.
    AutoTokenizer.from_pretrained(ASSETS / "mpt-tiny").save_pretrained(workspace / name)
    return workspace / name


def load_backbone(folder: str, input_length: int, target_length: int, device: str, dtype: Any = "float32") -> Any:
    """The frozen backbone, in evaluation mode."""
    from mpt.backbone.loading import BackboneOptions
    from mpt.backbone.model import FrozenBackbone

    options = BackboneOptions(dtype, max_input_length=input_length, max_target_length=target_length)
    return FrozenBackbone(folder, options).to(device).eval()


def read_weights(model: Any) -> None:
    """Weights are mapped from their file, and come to memory when they are read."""
    for weight in model.parameters():
        weight.detach().sum()


def first_rows(backbone: Any, length: int) -> Any:
    """A prompt that every way can start from: the first tokens' embeddings, ``[P, H]``."""
    import torch

    embeddings = backbone.embeddings
    return embeddings[torch.arange(length, device=embeddings.device) % len(embeddings)]


def examples(count: int, words: int) -> list[tuple[str, str]]:
    """Inputs of at least ``words`` tokens in any tokenizer, all with one answer."""
    rng = random.Random(0)
    word = lambda: "".join(rng.choices("aeioulnrst", k=4))  # noqa: E731
    return [(" ".join(word() for _ in range(words)), "yes it is") for _ in range(count)]


def now(device: str) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def resident(what: str) -> float:
    """Bytes of this process in memory: now (VmRSS) or at most (VmHWM); NaN where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def forget_resident_peak() -> float:
    """Forget the peak so far; bytes in memory now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


class TensorPeak:
    """Peak of what torch's allocator hands out from ``start`` on, above what it had handed out then."""

    def __init__(self, device: str) -> None:
        self.device = device

    def start(self) -> None:
        import torch
        from torch.profiler import ProfilerActivity, profile

        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.allocated = torch.cuda.memory_allocated()
            return
        self.profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        self.profiler.start()

    def stop(self) -> float:
        """In bytes."""
        import torch

        if self.device == "cuda":
            return float(torch.cuda.max_memory_allocated() - self.allocated)
        self.profiler.stop()
        events: Any = self.profiler.profiler.kineto_results.events()  # type: ignore[union-attr]
        changes = [event for event in events if event.name() == "[memory]"]
        sizes = (event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns()))
        return float(max(itertools.accumulate(sizes), default=0))
