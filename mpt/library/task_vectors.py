"""Task prompt vectors: what tuning added to a prompt's start (Belanec et al., ECML-PKDD 2025, arXiv 2408.01119).

A task's vector is its tuned prompt minus the start of that tuning. Vectors of several tasks are added to a new start,
from which another task begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mpt.backbone.model import FrozenBackbone
from mpt.library.card import prompt_card
from mpt.library.entry import Entry
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import backbone_facts, check_fits, load_prompt, save_prompt
from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.util.errors import UserError
from mpt.util.files import refuse_full

_TUNED = "PromptTuning"
_ALIKE = ("metric", "labels", "input_prefix")
"""What a combination says of itself where all of its parts say the same."""


def recipe_start(recipe: KeyRecipe, vocabulary: InitContext) -> Tensor:
    """Where every tuning of a library begins, ``[P, H]``, by its recipe."""
    generator = torch.Generator().manual_seed(recipe.seed)
    return SampledVocabulary()(recipe.prompt_length, replace(vocabulary, generator=generator))


def task_vector(library: Library, entry: Entry, start: Tensor) -> Tensor:
    """What an entry's tuning added to the library's start, ``[P, H]``.

    Raises:
        UserError: the entry was tuned from another start.
    """
    if entry.facts.get("method", _TUNED) != _TUNED:
        raise UserError(
            f"entry {entry.name} was {entry.facts['method']}, not tuned from the library's start, so that what its "
            "task added is not known; leave it out"
        )
    return library.value(entry) - start


def combine(
    library: Library, terms: Sequence[tuple[int, str]], backbone: FrozenBackbone, seed: int, folder: Path
) -> Path:
    """Write a start plus and minus entries' vectors as a prompt's folder.

    Args:
        terms: sign (1 or -1) and name of each entry.
        backbone: that the library's prompts were learned on.
        seed: draws the start; with the recipe's, it is that of the library's own tunings.
        folder: a new one.

    Raises:
        UserError: no such entry; one of other weights, or tuned from another start; a folder that holds something.
    """
    refuse_full(folder, "FOLDER")
    vocabulary = InitContext.of(backbone, seed)
    start = recipe_start(library.recipe, vocabulary)
    whole = SampledVocabulary()(library.recipe.prompt_length, vocabulary)
    entries = [library.entry(name) for _, name in terms]
    for (sign, name), entry in zip(terms, entries, strict=True):
        stored = load_prompt(entry.folder)
        check_fits(stored, f"{name} of {library.folder}", start.shape[1], backbone.name, backbone.fingerprint)
        whole = whole + sign * task_vector(library, entry, start)
    said = " ".join(word for sign, name in terms for word in ("+" if sign > 0 else "-", name))
    facts = {name: value for name, value in entries[0].facts.items() if name in _ALIKE}
    facts = {name: value for name, value in facts.items() if all(one.facts.get(name) == value for one in entries)}
    facts |= {"method": "TaskVectors", "combined": said, "seed": seed, "fingerprint": backbone.fingerprint}
    facts |= backbone.options.remembered | backbone_facts(backbone.config)
    return save_prompt(folder, whole, library.recipe.backbone, backbone.decoder_only, facts, prompt_card)
