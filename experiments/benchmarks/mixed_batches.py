"""Requests for many prompts in random order: mpt's mixed batches, PEFT that switches adapters, one prompt at a time.

    python experiments/benchmarks/mixed_batches.py --models t5-small llama-135m --prompts 16 64
    python experiments/benchmarks/mixed_batches.py --models smollm2-135m --prompts 64 --out mixed.csv

For each model and number of prompts the same requests are answered, on the same weights, in one process:

- ``peft switching``: each request by itself, in the order in which they come: ``set_adapter`` and ``generate``;
- ``peft sorted``: one prompt at a time, the requests for it in batches, which all have to be there before;
- ``mpt sorted``: likewise by mpt;
- ``mpt mixed``: ``--batch`` requests at a time in the order in which they come, each with its own prompt.

Requests are random tokens as long as rows of real tasks (``lengths.json``); each answer has ``--new-tokens`` tokens.
Prompts have 10 to 30 rows with ``--lengths mixed``, else 20. All ways must give the same answers, or the run ends; but
for batches of a decoder-only model by PEFT, which pads between prompt and text, and in bfloat16, which rounds a row of
a batch otherwise than a row alone: how many differ there is told (``unlike``). CPU time does not count other programs.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from causal_step import LENGTHS, timed  # type: ignore[import-not-found]  # beside this script
from measuring import SIZES, load_backbone, random_model, read_weights  # type: ignore[import-not-found]

WAYS = ("peft switching", "peft sorted", "mpt sorted", "mpt mixed")
FIELDS = ("model", "prompts", "requests", "way", "seconds", "cpu_seconds", "rows_per_cpu_second", "unlike")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--models", nargs="+", default=["t5-small"])
    parser.add_argument("--prompts", nargs="+", type=int, default=[16, 64])
    parser.add_argument("--requests", type=int, default=4, help="for each prompt")
    parser.add_argument("--batch", type=int, default=64, help="requests that are answered together")
    parser.add_argument("--new-tokens", type=int, default=4)
    parser.add_argument("--lengths", default="mixed", choices=["mixed", "alike"], help="of the prompts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of weights and arithmetic")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help="CSV file for every measurement")
    options = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as workspace:
        for model in options.models:
            folder = str(random_model(model, Path(workspace)) if model in SIZES else model)
            backbone = load_backbone(folder, 512, options.new_tokens, options.device, options.dtype)
            backbone.generation.eos_token_id, backbone.generation.forced_eos_token_id = -1, None  # no answer ends
            read_weights(backbone)
            for number in options.prompts:
                found = measured(backbone, number, options)
                rows += [{"model": model, "prompts": number, **row} for row in found]
                report(model, number, found)
            del backbone
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=FIELDS)
            writer.writeheader()
            writer.writerows(rows)
        print(f"written to {options.out}")


def measured(backbone: Any, number: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each way."""
    import torch

    from mpt.backbone.grouped import GroupedRows

    draw, generator = random.Random(0), torch.Generator().manual_seed(0)
    table = backbone.embeddings
    sizes = [draw.randint(10, 30) if options.lengths == "mixed" else 20 for _ in range(number)]
    prompts = [table[torch.randint(len(table), (size,), generator=generator).to(table.device)] for size in sizes]
    owners = [owner for owner in range(number) for _ in range(options.requests)]
    draw.shuffle(owners)
    lengths = [pair[0] for pairs in json.loads(LENGTHS.read_text()).values() for pair in pairs if pair[0] <= 128]
    requests = [torch.randint(10, len(table), (draw.choice(lengths),), generator=generator).tolist() for _ in owners]
    in_order = [[at] for at in range(len(owners))]
    sorted_by_prompt = [
        mine[begin : begin + options.batch]
        for prompt in range(number)
        for mine in [[at for at, owner in enumerate(owners) if owner == prompt]]
        for begin in range(0, len(mine), options.batch)
    ]
    mixed = [list(range(at, min(at + options.batch, len(owners)))) for at in range(0, len(owners), options.batch)]
    rows = GroupedRows(backbone)
    peft = SwitchingPeft(backbone, prompts)
    answers: dict[str, dict[int, str]] = {way: {} for way in WAYS}

    def by_mpt(way: str, groups: list[list[int]]) -> None:
        for group in groups:
            own = torch.tensor([owners[at] for at in group], device=table.device)
            said, _ = rows.written(prompts, batch_of(backbone, [requests[at] for at in group]), own)
            answers[way] |= dict(zip(group, said, strict=True))

    def by_peft(way: str, groups: list[list[int]]) -> None:
        for group in groups:
            batch = batch_of(backbone, [requests[at] for at in group])
            said = peft.answer(owners[group[0]], batch, options.new_tokens)
            answers[way] |= dict(zip(group, said, strict=True))

    work: dict[str, tuple[Callable[[str, list[list[int]]], None], list[list[int]]]] = {
        "peft switching": (by_peft, in_order),
        "peft sorted": (by_peft, sorted_by_prompt),
        "mpt sorted": (by_mpt, sorted_by_prompt),
        "mpt mixed": (by_mpt, mixed),
    }
    found = []
    for way, (answer, groups) in work.items():
        answer(way, groups[:1])  # what is done once
        seconds, cpu_seconds = timed(lambda name, do=answer, of=groups: do(name, of), way, options.device)
        rate = len(owners) / cpu_seconds
        found.append(
            {
                "requests": len(owners),
                "way": way,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "rows_per_cpu_second": rate,
            }
        )
    for row in found:
        way = row["way"]
        row["unlike"] = sum(answers[way][at] != answers["mpt mixed"][at] for at in answers[way])
        padded = way == "peft sorted" and backbone.decoder_only
        if row["unlike"] and options.dtype == "float32" and not padded:
            raise SystemExit(f"{row['unlike']} of {len(owners)} answers of {way} are not those of mpt mixed")
    return found


class SwitchingPeft:
    """The same prompts as adapters of one PEFT model."""

    def __init__(self, backbone: Any, prompts: list[Any]) -> None:
        import torch
        from peft import PromptTuningConfig, TaskType, get_peft_model

        self.backbone = backbone
        kind = TaskType.CAUSAL_LM if backbone.decoder_only else TaskType.SEQ_2_SEQ_LM
        for at, prompt in enumerate(prompts):
            config = PromptTuningConfig(
                task_type=kind, num_virtual_tokens=len(prompt), num_transformer_submodules=1, inference_mode=True
            )
            if at == 0:
                model: Any = get_peft_model(backbone.model, config, adapter_name="0")
            else:
                model.add_adapter(str(at), config)
            with torch.no_grad():
                model.prompt_encoder[str(at)].embedding.weight.copy_(prompt)
        self.model = model.eval()

    def answer(self, prompt: int, batch: Any, new_tokens: int) -> list[str]:
        """The answers to rows that all have one prompt."""
        import torch

        self.model.set_adapter(str(prompt))
        with torch.no_grad():
            ids = self.model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.input_mask,
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=self.backbone.encode.pad_id,
            )
        skipped = batch.input_ids.shape[1] if self.backbone.decoder_only else 1
        return self.backbone.encode.decode(ids[:, skipped:])


def batch_of(backbone: Any, requests: list[list[int]]) -> Any:
    """Requests as a batch."""
    import torch

    from mpt.backbone.encoding import Batch

    width, left = max(map(len, requests)), backbone.decoder_only
    pad = [[backbone.encode.pad_id] * (width - len(row)) for row in requests]
    ids = [empty + row if left else row + empty for row, empty in zip(requests, pad, strict=True)]
    mask = [[0] * len(empty) + [1] * len(row) for row, empty in zip(requests, pad, strict=True)]
    mask = mask if left else [row[::-1] for row in mask]
    device = next(backbone.model.parameters()).device
    return Batch(torch.tensor(ids), torch.tensor(mask)).to(device)


def report(model: str, prompts: int, rows: list[dict[str, Any]]) -> None:
    """Each way's requests per CPU second, and how many times PEFT's switching that is."""
    base = rows[0]["rows_per_cpu_second"]
    print(f"{f'{model}, {prompts} prompts':<34}{'rows / CPU s':>14}{'times switching':>18}{'unlike':>10}")
    for row in rows:
        rate = row["rows_per_cpu_second"]
        print(f"{row['way']:<34}{rate:>14.2f}{rate / base:>18.2f}{row['unlike']:>10}")


if __name__ == "__main__":
    main()
