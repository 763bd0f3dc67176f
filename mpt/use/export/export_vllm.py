"""Prompts of a decoder-only model as embeddings, which ``vllm serve --enable-prompt-embeds`` takes in place of tokens.

The server has the plain backbone, and a request brings its own prompt: ``[prompt; embeddings of the text's tokens]``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import resolve
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


def export_vllm(prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone, out: Path) -> list[str]:
    """Write a file of each prompt, the input embeddings, the tokenizer, ``prompts.json``, ``client.py``, ``README.md``.

    Returns:
        Sentences on how it is served, and where the answers differ from mpt's.

    Raises:
        UserError: the backbone is an encoder-decoder, or scales its embeddings.
    """
    refuse_encoder_decoder(backbone, "vllm")
    table = backbone.model.get_input_embeddings()
    if (scale := embedding_scale(table)) != 1:
        raise UserError(
            f"backbone {backbone.name} multiplies its embeddings by {scale:.4g}, and whether vLLM does so with those "
            "that it is sent is not known; take mpt export tokens"
        )
    served = resolve(backbone.name)
    longest = max(len(one.stored.weight) + one.max_input_length + one.max_target_length for one in prompts)
    told = [
        f"The server: `vllm serve {shlex.quote(served)} --enable-prompt-embeds`, with a --max-model-len that "
        f"holds prompt, text and answer, {longest} tokens at most.",
        "A prompt stands before everything, a chat template too, which client.py writes itself: so it asks for "
        "completions, and not for chats, where the server would put its template before the prompt.",
        *differences(prompts),
        "What client.py sends was tried with transformers, and not with vLLM.",
    ]
    with new_folder(out) as fresh:
        save_file({"embeddings": table.weight.detach().contiguous()}, fresh / "embeddings.safetensors")
        backbone.tokenizer.save_pretrained(fresh / "tokenizer")
        (fresh / "prompts").mkdir()
        files = [f"prompts/{one.name}.pt" for one in prompts]
        for file, one in zip(files, prompts, strict=True):
            with (fresh / file).open("wb") as opened:
                torch.save(one.stored.weight.detach().clone(), opened)
        each = [{"file": file} for file in files]
        write_index(fresh, prompts, each, model=served, **reading(backbone))
        write_client(fresh, "mpt.use.export.client_vllm", f"{len(prompts)} prompts for a vLLM server", told)
    return told
