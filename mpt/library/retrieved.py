"""A start from what a target's key retrieves from a library."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from mpt.library.pooling import Measure
from mpt.library.retrieval import Order, Retrieval, sources_and_similarities
from mpt.library.similarity import weighted_average
from mpt.library.task_vectors import recipe_start, task_vector
from mpt.prompt.initialisers import InitContext, Initialiser, SampledVocabulary, check_start
from mpt.util.errors import UserError


class Retrieved(Initialiser):
    """A source prompt retrieved from a library for the target task, or several made one (SPoT, 3.3).

    Looked up when training begins, by the target's key; see :class:`mpt.library.retrieval.Retrieval` for most options.

    Args:
        library: a folder, the name of a shipped library, or ``hub:owner/name``.
        key: prompt folder of the target's key.
        rank: start from the one prompt of this place in the ranking, 1 being the first.
        top_k: start from the first so many together.
        use: their ``average``, each weighted by its share of their similarities; a new start plus the ``sum`` of what
            their tasks added to theirs (:mod:`mpt.library.task_vectors`); or ``each``, ``[top_k, P, H]``, for
            :class:`mpt.prompt.mixture.Mixture`.
        by: the measure of similarity.
        order: what the ranking begins with.
        exclude: tasks whose prompts are never retrieved.
        seed: of a random order.
        digest: complain if the library has changed.

    Raises:
        UserError: not exactly one of rank and top_k, or below 1.
    """

    def __init__(
        self,
        library: str,
        key: str,
        rank: int | None = None,
        top_k: int | None = None,
        by: Measure = "per_token",
        order: Order = "highest",
        exclude: list[str] | None = None,
        seed: int = 0,
        digest: str | None = None,
        use: Literal["average", "sum", "each"] = "average",
    ) -> None:
        if (rank is None) == (top_k is None):
            raise UserError("init Retrieved: give either rank (one prompt) or top_k (the average of several)")
        if (rank or top_k or 0) < 1:
            raise UserError(f"init Retrieved: rank and top_k count from 1, and {rank or top_k or 0} is below")
        if use != "average" and rank is not None:
            raise UserError(f"init Retrieved: use {use} is of the first top_k prompts; give top_k in the place of rank")
        self.rank, self.top_k, self.use = rank, top_k, use
        self.retrieval = Retrieval(library, key, top_k or 1, by, order, list(exclude or ()), seed, digest)
        self.origin: dict[str, Any] = {}
        """Once called: ``source`` (name of the entry) and ``similarity``, in a list each for an average."""

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        last = self.rank or self.top_k or 0
        library, key, hits = self.retrieval.ranked(first=last)
        check_start(key, self.retrieval.key, length, vocabulary)
        if last > len(hits):
            name = "rank" if self.rank else "top_k"
            raise UserError(
                f"init Retrieved: {name} is {last}, and {self.retrieval.library} has {len(hits)} to retrieve"
            )
        chosen = [hits[last - 1]] if self.rank else hits[:last]
        self.origin = sources_and_similarities(chosen, [hit.entry.name for hit in chosen])
        if self.use == "sum":
            start = recipe_start(library.recipe, vocabulary)
            fresh = SampledVocabulary()(length, vocabulary)
            return fresh + torch.stack([task_vector(library, hit.entry, start) for hit in chosen]).sum(0)
        values = torch.stack([library.value(hit.entry) for hit in chosen])
        if self.use == "each":
            return values
        return values[0] if self.rank else weighted_average(values, [hit.similarity for hit in chosen])
