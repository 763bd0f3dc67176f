"""What a frozen model says before anything is learned: source prompts on a target's train examples, and their neurons.

Measures of transfer that look at the model's answers, beside similarities of prompts (:mod:`mpt.analysis.remeasure`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mpt.analysis.leep import leep
from mpt.analysis.neurons import activities
from mpt.analysis.remeasure import TaskKeys
from mpt.analysis.train_loss import mean_loss
from mpt.analysis.transfers import Transfers
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import find_task, load_fewshot
from mpt.data.modules.text_data import prefix_of
from mpt.data.tasks.task import FewShot
from mpt.library.library import Library
from mpt.prompt.files import load_prompt
from mpt.record.folder import RunFolder
from mpt.record.options import RunOptions
from mpt.util.errors import UserError

LOSS, LEEP, NEURONS = "train loss", "LEEP", "neurons"

_READ = ("max_input_length", "max_target_length", "chat_template", "quantization", "revision")
"""What a key's facts say of how the model reads."""

Told = Callable[[int, int], None]


def measured_on_examples(
    transfers: Transfers, library: Library, keys: TaskKeys, told: Told = lambda done, all: None
) -> dict[str, Transfers]:
    """The same trials with each of three measures in the similarities' place, larger where more transfer is expected.

    ``train loss``: minus the mean loss per token of the target's train examples behind the source prompt, as it is.
    ``LEEP`` (Nguyen et al. 2020): the mean log-likelihood of the target's labels by what the source prompt says of its
    own task's labels; undefined where either has none. ``neurons`` (Su et al. 2022): the cosine of which neurons are
    active behind source and target key. Theirs are behind tuned prompts; of a target that is not known beforehand, and
    a source's tuned prompt is not to be compared with an early one.

    Args:
        told: how many of the sources on targets are done, of how many.

    Raises:
        UserError: the targets' data or the backbone are gone.
    """
    first = load_prompt(transfers.keys[keys.targets[0]])
    known = {name: first.facts[name] for name in _READ if name in first.facts}
    try:
        backbone = FrozenBackbone(first.backbone, BackboneOptions(**known))
    except TypeError:
        raise UserError(
            f"{transfers.keys[keys.targets[0]]}: mpt.json says of the backbone what cannot be: {known}"
        ) from None
    if backbone.fingerprint != first.facts.get("fingerprint"):
        raise UserError(f"{first.backbone} has other weights than those that the study's keys were learned on")
    entries = {entry.name: entry for entry in library.entries()}
    root = _options(transfers.keys[keys.targets[0]]).said("data.root")
    labels = [_labels(root, entries[name].task) for name in keys.sources]
    found: dict[str, dict[tuple[str, int, str], float]] = {LOSS: {}, LEEP: {}, NEURONS: {}}
    activity = activities(backbone, keys.all)
    overlap = torch.nn.functional.normalize(activity, dim=1)
    between = overlap[len(keys.sources) :] @ overlap[: len(keys.sources)].T
    count = len(keys.targets) * len(keys.sources)
    values = [library.value(entries[name]) for name in keys.sources]
    for i, (target, seed) in enumerate(keys.targets):
        draw = _draw(transfers.keys[target, seed])
        for j, (name, value) in enumerate(zip(keys.sources, values, strict=True)):
            place = (target, seed, name)
            found[LOSS][place] = -mean_loss(backbone, value, draw)
            found[LEEP][place] = leep(backbone, value, draw, labels[j])
            found[NEURONS][place] = float(between[i, j])
            told(i * len(values) + j + 1, count)
    return {by: transfers.with_similarities(by, table) for by, table in found.items()}


def _options(key: Path) -> RunOptions:
    """Of the run that made a target's key."""
    return RunFolder(key.parent).options()


def _draw(key: Path) -> FewShot:
    """What the run of a target's key learned on, its inputs behind the task's name where they were so there."""
    options = _options(key)
    names = ("root", "task", "seed", "k", "metric")
    draw = load_fewshot(**{name: options.said(f"data.{name}") for name in names})
    if not options.said("data.task_prefix"):
        return draw
    before = prefix_of(draw.task.name)
    return replace(draw, train=[replace(one, input=before + one.input) for one in draw.train])


def _labels(root: str, task: str) -> Sequence[str]:
    try:
        return find_task(root, task).labels
    except UserError:
        return ()
