"""What a frozen model says before anything is learned: source prompts on a target's train examples, and their neurons.

Measures of transfer that look at the model's answers, beside similarities of prompts (:mod:`mpt.analysis.remeasure`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from mpt.analysis.remeasure import TaskKeys
from mpt.analysis.transfers import Transfers
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.fewshot.files import find_task, load_fewshot
from mpt.data.modules.text_data import prefix_of
from mpt.data.tasks.task import FewShot
from mpt.library.library import Library
from mpt.prompt.files import load_prompt
from mpt.record.folder import RunFolder
from mpt.record.options import RunOptions
from mpt.util.errors import UserError

LOSS, LEEP, NEURONS = "train loss", "LEEP", "neurons"
_ROWS = 32
"""Examples that are read at once."""

_READ = ("max_input_length", "max_target_length", "chat_template", "quantization", "revision")
"""What a key's facts say of how the model reads."""

Told = Callable[[int, int], None]


def measured_on_examples(
    transfers: Transfers, library: Library, keys: TaskKeys, told: Told = lambda done, all: None
) -> dict[str, Transfers]:
    """The same trials with each of three measures in the similarities' place, larger where more transfer is expected.

    ``train loss``: minus the mean loss per token of the target's train examples behind the source prompt, as it is.
    ``LEEP`` (Nguyen et al. 2020): the mean log-likelihood of the target's labels by what the source prompt says of its
    own task's labels; undefined where either has none. ``neurons`` (Su et al. 2022): the cosine of how often each
    neuron is active behind source and target key.

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


@torch.no_grad()
def mean_loss(backbone: FrozenBackbone, prompt: Tensor, draw: FewShot) -> float:
    """Mean loss per target token of a draw's train examples behind a prompt ``[P, H]``."""
    total, tokens = 0.0, 0
    with backbone.in_mode(training=False):
        for inputs, targets in _parts(draw):
            batch = backbone.encode(inputs, targets)
            count = int(batch.target_lengths.sum())
            total, tokens = total + float(token_mean(backbone.loss(prompt, batch), batch)) * count, tokens + count
    return total / tokens


def leep(backbone: FrozenBackbone, prompt: Tensor, draw: FewShot, labels: Sequence[str]) -> float:
    """LEEP of a prompt ``[P, H]`` that answers with labels of its own task, on a draw's train examples."""
    if not labels or not draw.task.labels:
        return math.nan
    shares = torch.cat(
        [backbone.score(prompt, backbone.encode(inputs), labels).double().softmax(1) for inputs, _ in _parts(draw)]
    )
    known = {label: number for number, label in enumerate(draw.task.labels)}
    right = torch.tensor([known[example.targets[0]] for example in draw.train])
    return leep_of(shares, right)


def leep_of(shares: Tensor, right: Tensor) -> float:
    """LEEP by its definition (Nguyen et al. 2020, section 3).

    Args:
        shares: of each source label in what is said to n examples, ``[n, Z]``.
        right: numbers of the examples' target labels, ``[n]``.
    """
    joint = torch.stack([shares[right == label].sum(0) for label in range(int(right.max()) + 1)]) / len(shares)
    given = joint / joint.sum(0)
    return float((given[right] * shares).sum(1).log().mean())


def activities(backbone: FrozenBackbone, prompts: Tensor) -> Tensor:
    """Of each prompt ``[N, P, H]`` before an empty text, the share of places where each neuron is active, ``[N, F]``.

    A neuron is a feature of what an activation function gives, in the encoder where there is one; active above 0.
    """
    batch = backbone.encode([""], [""])
    rows = []
    for prompt in prompts:
        seen: list[Tensor] = []
        with torch.no_grad(), backbone.in_mode(training=False), _watched(backbone, seen):
            backbone.loss(prompt, batch)
        rows.append(torch.cat(seen))
    return torch.stack(rows)


@contextmanager
def _watched(backbone: FrozenBackbone, seen: list[Tensor]) -> Iterator[None]:
    """Note the share of places at which each feature of each activation function is above 0."""
    model = backbone.model if backbone.decoder_only else backbone.model.get_encoder()
    places = ("torch.nn.modules.activation", "transformers.activations")
    parts = [part for part in model.modules() if type(part).__module__ in places and not list(part.parameters())]

    def note(part: nn.Module, given: object, said: Tensor) -> None:
        seen.append((said > 0).float().flatten(0, -2).mean(0))

    hooks = [part.register_forward_hook(note) for part in parts if not isinstance(part, nn.Softmax)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _parts(draw: FewShot) -> Iterator[tuple[list[str], list[str]]]:
    for start in range(0, len(draw.train), _ROWS):
        part = draw.train[start : start + _ROWS]
        yield [one.input for one in part], [one.targets[0] for one in part]
