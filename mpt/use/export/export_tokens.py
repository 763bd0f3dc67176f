"""Prompts of a decoder-only model as tokens of a plain checkpoint, which every engine batches.

A checkpoint's output layer has a row for each token. For those of prompts it is the mean of all other rows: its logit
is the mean of their logits, which is never above the highest. So no such token is ever the likeliest, and by Jensen's
inequality none has a probability above one in the size of the vocabulary.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from mpt.backbone.model import FrozenBackbone
from mpt.use.export.export_prompts import (
    ExportedPrompt,
    differences,
    embedding_scale,
    reading,
    refuse_encoder_decoder,
    write_client,
    write_index,
)
from mpt.util.errors import UserError
from mpt.util.files import new_folder

_NEAR = 1e-3
"""Relative to a log-likelihood of one nat or more: what float32 leaves open."""


def export_tokens(prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone, out: Path) -> list[str]:
    """Write the checkpoint, its tokenizer, ``prompts.json``, ``client.py`` and ``README.md``.

    The backbone's own model and tokenizer get the tokens, so it is of no other use afterwards.

    Returns:
        Sentences on where the answers differ from mpt's.

    Raises:
        UserError: the backbone is an encoder-decoder, or does not read tokens as it reads embeddings.
    """
    refuse_encoder_decoder(backbone, "tokens")
    text = prompts[0].name
    batch = backbone.encode([text], [text])
    assert batch.labels is not None
    tried = {one.name: float(backbone.loss(one.stored.weight, batch)) for one in (prompts[0], prompts[-1])}
    told = [
        *differences(prompts),
        "A prompt stands before everything, a start token and a chat template too: give the engine token ids, as "
        "client.py makes them, for its own tokenizer would put the start token first.",
        "The output layer is a matrix of its own and not tied to the input's, whatever it was in the backbone.",
    ]
    ids = _add(prompts, backbone)
    with new_folder(out) as fresh:
        backbone.model.save_pretrained(fresh)
        backbone.tokenizer.save_pretrained(fresh)
        each = [{"ids": own, "tokens": one.tokens} for one, own in zip(prompts, ids, strict=True)]
        write_index(fresh, prompts, each, **reading(backbone))
        write_client(fresh, "mpt.use.export.client_tokens", f"{len(prompts)} prompts as tokens of a checkpoint", told)
        by_name = dict(zip((one.name for one in prompts), ids, strict=True))
        read, written = batch.input_ids[0].tolist(), batch.labels[0].tolist()
        for name, ours in tried.items():
            theirs = _loss(fresh, [*by_name[name], *read], written, [token for own in ids for token in own])
            if not math.isclose(theirs, ours, rel_tol=_NEAR, abs_tol=_NEAR):
                raise UserError(
                    f"backbone {backbone.name} does not read tokens as it reads embeddings (behind prompt {name} an "
                    f"answer has the loss {theirs:.4f}, not {ours:.4f}), so nothing was exported"
                )
    return told


def _add(prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone) -> list[list[int]]:
    """Give the model and its tokenizer the prompts' tokens; the ids of each prompt."""
    model, tokenizer = backbone.model, backbone.tokenizer
    own = [token for one in prompts for token in one.tokens]
    if both := set(tokenizer.get_vocab()) & set(own):
        raise UserError(f"{min(both)} is a token of {backbone.name} already; call its prompt otherwise: NAME=FOLDER")
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in own], special_tokens=True)
    ids: list[int] = tokenizer.convert_tokens_to_ids(own)
    scale = embedding_scale(model.get_input_embeddings())
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False
    head = model.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    model.resize_token_embeddings(max(len(model.get_input_embeddings().weight), max(ids) + 1), mean_resizing=False)
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    with torch.no_grad():
        table.weight[ids] = (torch.cat([one.stored.weight for one in prompts]) / scale).to(table.weight)
        head.weight[ids] = head.weight[: min(ids)].double().mean(0).to(head.weight)
        if getattr(head, "bias", None) is not None:
            head.bias[ids] = head.bias[: min(ids)].mean()
    model.generation_config = copy.deepcopy(backbone.generation)
    model.generation_config.suppress_tokens = ids  # transformers does not even sample them
    rest = iter(ids)
    return [[next(rest) for _ in one.tokens] for one in prompts]


@torch.no_grad()
def _loss(folder: Path, read: list[int], written: list[int], prompts: list[int]) -> float:
    """Of an answer, by the checkpoint as it lies there, among the tokens that are no prompts'."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    logits = model(input_ids=torch.tensor([read + written])).logits[0, len(read) - 1 : -1]
    logits[:, prompts] = -torch.inf
    return float(F.cross_entropy(logits, torch.tensor(written), reduction="sum"))
