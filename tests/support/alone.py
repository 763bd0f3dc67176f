"""Prompts to be tuned side by side, and the training of one of them alone, written out here."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers.optimization import Adafactor

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.few_shot import FewShotData
from mpt.learn import PromptAdafactor
from mpt.learn.side_by_side import PackedRun

OPTIONS = BackboneOptions(max_input_length=32, max_target_length=4)
LENGTH = 4


def data(root: Path, task: str, seed: int) -> FewShotData:
    made = FewShotData(task, root=str(root), metric="ACC", seed=seed, batch_size=3, eval_batch_size=2)
    made.setup()
    return made


def start(backbone: FrozenBackbone, number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(number)
    return backbone.embeddings[torch.randint(4, 200, (LENGTH,), generator=generator)]


def runs(backbone: FrozenBackbone, root: Path, rates: list[float]) -> list[PackedRun]:
    made = []
    for number, rate in enumerate(rates):
        prompt = nn.Parameter(start(backbone, number))
        place = data(root, ("toy", "long")[number % 2], (13, 21)[number // 2 % 2])
        made.append(PackedRun(str(number), place, prompt, PromptAdafactor([prompt], lr=rate)))
    return made


def one_at_a_time(backbone: FrozenBackbone, run: PackedRun, number: int, rate: float, steps: int) -> torch.Tensor:
    """Lester et al.'s training, from the tokens of the files on."""
    backbone.train()
    prompt = start(backbone, number).requires_grad_()
    optimizer = Adafactor([prompt], lr=rate, weight_decay=1e-5, scale_parameter=False, relative_step=False)
    table, model, tokenizer = backbone.model.get_input_embeddings(), backbone.model, backbone.tokenizer
    fresh = FewShotData(run.data.task_name, root=run.data.root, metric="ACC", seed=run.data.seed, batch_size=3)
    for _, batch in zip(range(steps), fresh.train_dataloader(), strict=False):
        optimizer.zero_grad()
        summed, count = 0.0, 0
        for source, target in zip(batch.inputs, batch.targets, strict=True):
            ids = tokenizer([source], return_tensors="pt")["input_ids"]
            labels = tokenizer(text_target=[target], return_tensors="pt")["input_ids"]
            embeds = torch.cat([prompt[None], table(ids)], 1)
            logits = model(inputs_embeds=embeds, labels=labels).logits[0]
            summed, count = summed + F.cross_entropy(logits, labels[0], reduction="sum"), count + labels.shape[1]
        (summed / count).backward()
        optimizer.step()
    return prompt.detach()
