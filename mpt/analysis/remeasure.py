"""The similarities of a study's targets to its source prompts, measured anew from their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mpt.analysis.transfers import Transfers
from mpt.library.library import Library
from mpt.library.similarity import SIMILARITIES
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError


@dataclass(frozen=True)
class TaskKeys:
    """Task embeddings of one setting: those of the source prompts that were tried, and those of the targets.

    Attributes:
        sources: names of the source prompts.
        source_tasks: their tasks.
        source_keys: ``[N, P, H]``.
        targets: target and seed of each target's key.
        target_keys: ``[M, P, H]``.
    """

    sources: list[str]
    source_tasks: list[str]
    source_keys: Tensor
    targets: list[tuple[str, int]]
    target_keys: Tensor

    @property
    def tasks(self) -> list[str]:
        """Of all keys, those of the sources first."""
        return [*self.source_tasks, *(target for target, _ in self.targets)]

    @property
    def all(self) -> Tensor:
        """``[N + M, P, H]``."""
        return torch.cat([self.source_keys, self.target_keys])


def read_keys(transfers: Transfers, library: Library) -> TaskKeys:
    """The keys behind a setting's trials.

    Raises:
        UserError: the library lacks a prompt that was tried, or a target's key is gone.
    """
    entries = {entry.name: entry for entry in library.entries()}
    if lost := [name for name in transfers.sources if name not in entries]:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise UserError(f"{library.folder} has no prompt {', '.join(lost[:3])}{more}, which the study started from")
    chosen = [entries[name] for name in transfers.sources]
    wanted = sorted({(trial.target, trial.seed) for trial in transfers.trials})
    targets = [place for place in wanted if place in transfers.keys]
    if len(targets) < len(wanted):
        raise UserError("the study's results do not say where the targets' keys are")
    keys = [load_prompt(transfers.keys[place]).weight for place in targets]
    source_keys = library.keys(chosen)
    for place, key in zip(targets, keys, strict=True):
        if key.shape != source_keys.shape[1:]:
            raise UserError(
                f"the key {transfers.keys[place]} is {list(key.shape)}, and those of {library.folder} are "
                f"{list(source_keys.shape[1:])}; delete its run's folder, and mpt study run makes it anew"
            )
    return TaskKeys(
        sources=transfers.sources,
        source_tasks=[entry.task for entry in chosen],
        source_keys=source_keys,
        targets=targets,
        target_keys=torch.stack(keys),
    )


def measured(
    transfers: Transfers, keys: TaskKeys, measures: Sequence[str] = tuple(SIMILARITIES)
) -> dict[str, Transfers]:
    """The same trials with the similarities of each measure, and with the tasks that the library names."""
    tasks = dict(zip(keys.sources, keys.source_tasks, strict=True))
    named = replace(transfers, trials=[replace(trial, task=tasks[trial.source]) for trial in transfers.trials])
    found = {}
    for by in measures:
        values = SIMILARITIES[by](keys.target_keys, keys.source_keys).tolist()
        table = {
            (*place, source): value
            for place, line in zip(keys.targets, values, strict=True)
            for source, value in zip(keys.sources, line, strict=True)
        }
        found[by] = named.with_similarities(by, table)
    return found


def largest_difference(transfers: Transfers, again: Transfers) -> float:
    """The largest difference between the similarities that a study wrote down and those measured again."""
    pairs = zip(transfers.trials, again.trials, strict=True)
    return max((abs(a.similarity - b.similarity) for a, b in pairs), default=0.0)
