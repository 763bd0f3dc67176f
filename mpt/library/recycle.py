"""Prompt recycling: a library's prompts for another model (Lester et al. 2022, arXiv 2208.05577).

What maps the source model's token embeddings to the target model's, over the tokens that both have, maps a prompt as
well ("v2v-lin" there): ``P W`` with W ``[H, H']`` the least-squares solution of ``E W = E'``. Their "lin-comb", the
smallest weights that make the prompt of the source's embeddings, put on the target's, is the same prompt: both are
``P E⁺ E'``.

The paper has no keys. Here a key is what its task added to the start of all keys, mapped, on the start that the recipe
has on the other model: ``S' + (K - S) W``, for a new task's key begins at S' there, and S W is another prompt.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpt.backbone.model import FrozenBackbone
from mpt.library.library import Library
from mpt.library.task_vectors import recipe_start
from mpt.prompt.files import backbone_facts
from mpt.prompt.initialisers import InitContext
from mpt.util.errors import UserError
from mpt.util.files import refuse_full

_KEPT = ("task", "type", "metric", "seed", "k", "labels", "input_prefix", "steps", "examples", "seconds")
"""Facts that are true of a recycled prompt still; its scores were the source model's."""


def shared_tokens(one: FrozenBackbone, other: FrozenBackbone) -> list[tuple[int, int]]:
    """Ids, in each of two models, of the tokens that both have and that are words."""
    first, second = (backbone.tokenizer.get_vocab() for backbone in (one, other))
    special = {*one.tokenizer.all_special_tokens, *other.tokenizer.all_special_tokens}
    sizes = len(one.embeddings), len(other.embeddings)
    pairs = sorted((first[token], second[token]) for token in first.keys() & second.keys() - special)
    return [pair for pair in pairs if pair[0] < sizes[0] and pair[1] < sizes[1]]


def embedding_map(source: Tensor, target: Tensor) -> Tensor:
    """W ``[H, H']``, by which the rows of source ``[V, H]`` come closest to those of target ``[V, H']``."""
    # In double precision: embeddings of a real vocabulary are nearly dependent.
    solution: Tensor = torch.linalg.lstsq(source.double(), target.double(), driver="gelsd").solution
    return solution.float()


def recycle(library: Library, source: FrozenBackbone, target: FrozenBackbone, name: str, folder: Path) -> Library:
    """A new library: every key and value of one, mapped to another model.

    Its recipe has a chat where the other model has one and the library's recipe does.

    Args:
        source: the model that its prompts were learned on.
        target: the other.
        name: of the other, for the recipe.
        folder: a new one.

    Raises:
        UserError: no entry is of the source model; too few tokens are in both vocabularies; the folder holds something.
    """
    refuse_full(folder, "FOLDER")
    entries = library.entries(source.fingerprint)
    if not entries:
        raise UserError(f"library {library.folder} has no prompt of {source.name} (weights {source.fingerprint})")
    keys, values = library.keys(entries), library.values(entries)
    if (width := keys.shape[-1]) != source.hidden_size:
        raise UserError(
            f"library {library.folder}: prompts of {source.name} have {width} columns, and the model others"
        )
    pairs = shared_tokens(source, target)
    if len(pairs) < source.hidden_size:
        raise UserError(
            f"{source.name} and {target.name} share {len(pairs)} tokens, and a map of embeddings of width "
            f"{source.hidden_size} needs as many or more; recycle between models of one tokenizer"
        )
    rows = torch.tensor(pairs)
    mapped = embedding_map(source.embeddings[rows[:, 0]].cpu(), target.embeddings[rows[:, 1]].cpu())
    begin, there = (recipe_start(library.recipe, InitContext.of(one, library.recipe.seed)) for one in (source, target))
    keys, values = there + (keys - begin) @ mapped, values @ mapped
    if not (keys.isfinite().all() and values.isfinite().all()):
        raise UserError(f"library {library.folder}: mapped to {target.name}, some of its prompts are no finite numbers")
    chats = library.recipe.chat_template and target.decoder_only and bool(target.tokenizer.chat_template)
    made = Library.create(folder, replace(library.recipe, backbone=name, chat_template=chats))
    for entry, key, value in zip(entries, keys, values, strict=True):
        facts: dict[str, Any] = {name: value for name, value in entry.facts.items() if name in _KEPT}
        facts |= {"method": "recycled", "recycled_from": entry.backbone, "fingerprint": target.fingerprint}
        facts |= target.options.remembered | backbone_facts(target.config)
        facts |= {"chat_template": True} if chats else {}
        made.add(entry.name, key, value, facts, decoder_only=target.decoder_only)
    return made
