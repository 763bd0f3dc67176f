"""Prompts tuned side by side on given tasks from given starts: each task's early prompt (its key), and its best one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.task import Example
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.side_by_side import Lane, SideBySide
from mpt.prompt.initialisers import InitContext, Initialiser, SampledVocabulary
from mpt.util.errors import UserError, one_line
from mpt.util.files import replacing

Told = Callable[[SideBySide], None]


@dataclass(frozen=True)
class TuningJob:
    """One prompt to tune.

    Attributes:
        name: of its own among those beside it.
        data: what it learns on; the seed orders its batches.
        start: ``[P, H]``.
        learning_rate: of Adafactor, constant.
    """

    name: str
    data: FewShotData
    start: Tensor
    learning_rate: float


@dataclass
class Tuned:
    """What became of a job.

    Attributes:
        name: the job's.
        key: the prompt after ``key_steps`` steps, ``[P, H]`` on the CPU; None where none were asked for, or if it ended
            before.
        value: the prompt that was best on dev, ``[P, H]`` on the CPU; None if it failed: nothing was evaluated before,
            or it has no finite key.
        dev_score: of the value.
        dev_loss: likewise, per token.
        best_step: after which step the value was taken, 0 being the start itself.
        history: a line per evaluation, see :class:`mpt.learn.side_by_side.Lane`.
        ended: why it ended before the others, if it did.
        steps: optimiser steps it made, with ``examples`` read in them.
        seconds: its share of the time that the tuning of all took, evaluations and earlier attempts included.
    """

    name: str
    key: Tensor | None
    value: Tensor | None
    dev_score: float
    dev_loss: float
    best_step: int | None
    history: list[dict[str, Any]] = field(default_factory=list)
    ended: str | None = None
    steps: int = 0
    examples: int = 0
    seconds: float = 0.0


def plain_start(backbone: FrozenBackbone, length: int, seed: int, init: Initialiser | None = None) -> Tensor:
    """Where prompt tuning without transfer starts, ``[length, H]``: sampled vocabulary, the same for a seed.

    It is what :class:`mpt.learn.PromptTuning` starts from with that seed.
    """
    tokenizer = backbone.tokenizer
    vocabulary = InitContext(
        embeddings=backbone.embeddings,
        tokenize=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
        special_ids=frozenset(tokenizer.all_special_ids),
        labels=(),
        backbone=backbone.name,
        fingerprint=lambda: backbone.fingerprint,
        generator=torch.Generator().manual_seed(seed),
    )
    return (init or SampledVocabulary())(length, vocabulary).cpu()


def early_prompts(backbone: FrozenBackbone, jobs: Sequence[TuningJob], steps: int, seed: int = 0) -> list[Tensor]:
    """Only the prompts after so many steps, each ``[P, H]`` on the CPU: the keys of tasks that are to be looked up.

    Raises:
        UserError: the loss of one was not finite.
    """
    side = SideBySide(backbone, _lanes(backbone, jobs), max_steps=steps, every=steps, log_every=0, seed=seed)
    while side.steps < steps:
        side.step()
    for lane in side.lanes:
        if why := _run_away(lane):
            raise UserError(f"{lane.name}: {why}")
    return [_kept(lane.prompt) for lane in side.lanes]


def tune(
    backbone: FrozenBackbone,
    jobs: Sequence[TuningJob],
    *,
    steps: int,
    every: int,
    key_steps: int | None = None,
    from_start: bool = False,
    seed: int = 0,
    state: Path | None = None,
    told: Told | None = None,
) -> list[Tuned]:
    """Tune prompts side by side: what became of each, in the jobs' order.

    A prompt that is no longer finite fails alone, the others go on.

    Args:
        backbone: shared, on the device to work on.
        jobs: with starts of one shape.
        steps: optimiser steps of each.
        every: steps between evaluations on dev.
        key_steps: after how many steps the early prompt is taken.
        from_start: evaluate the starts too, before the first step.
        seed: of dropout.
        state: file to go on from, if it is there, and to write after each evaluation; the caller sees to it that it
            belongs to these very jobs, and removes it. One that cannot be read is no more than none.
        told: called after each evaluation, and once at the beginning of work that goes on from a state.

    Raises:
        UserError: numbers that do not fit one another.
    """
    if not 0 < every <= steps:
        raise UserError(f"it is evaluated every {every} steps of {steps}; that number must be 1 to {steps}")
    if key_steps is not None and not 0 < key_steps <= steps:
        raise UserError(f"key_steps must be from 1 to the {steps} steps of the tuning, not {key_steps}")
    side = SideBySide(backbone, _lanes(backbone, jobs), max_steps=steps, every=every, log_every=0, seed=seed)
    keys: dict[str, Tensor] = {}
    begun = time.monotonic()
    if state is not None and (before := _resume(side, keys, state)) is not None:
        begun -= before
        if told is not None:
            told(side)
    elif from_start:
        side.evaluate()
        _evaluated(side, keys, begun, state, told)
    while side.steps < steps and side.live:
        side.step()
        if side.steps == key_steps:
            for lane in side.live:
                lane.ended = _run_away(lane)
                lane.failed = lane.ended is not None  # without a key, what was learned before serves nobody
            keys = {lane.name: _kept(lane.prompt) for lane in side.live}
        if side.steps % every == 0 or side.steps == steps:
            side.evaluate()
            _evaluated(side, keys, begun, state, told)
    seconds = (time.monotonic() - begun) / len(side.lanes)
    return [_tuned(lane, keys.get(lane.name), seconds) for lane in side.lanes]


def answers(
    backbone: FrozenBackbone, prompts: Sequence[Tensor], data: FewShotData, examples: Sequence[Example]
) -> list[tuple[float, list[dict[str, Any]]]]:
    """Score some prompts on examples of a task: for each its score, and each example's input, references, prediction.

    Args:
        prompts: each ``[P, H]``.
        data: the task's; its metric counts, its test examples do not.
    """
    own = FewShotData(data.task_name, root=data.root, seed=data.seed, test_examples=None)
    assert data.fewshot is not None
    own.fewshot = replace(data.fewshot, test=list(examples))
    own.task, own.labels = data.task, data.labels
    lanes = _lanes(backbone, [TuningJob(str(i), own, prompt, 0.0) for i, prompt in enumerate(prompts)])
    for lane in lanes:
        lane.best_prompt = lane.prompt.detach()
    scores = SideBySide(backbone, lanes, max_steps=1, every=1).test()
    return [(scores[lane.name][1], lane.outputs) for lane in lanes]


def _lanes(backbone: FrozenBackbone, jobs: Sequence[TuningJob]) -> list[Lane]:
    device = next(backbone.model.parameters()).device
    lanes = []
    for job in jobs:
        prompt = nn.Parameter(job.start.detach().clone().float().to(device))
        lanes.append(Lane(job.name, prompt, PromptAdafactor([prompt], lr=job.learning_rate), job.data))
    return lanes


def _kept(prompt: Tensor) -> Tensor:
    return prompt.detach().to("cpu", copy=True)


def _run_away(lane: Lane) -> str | None:
    if lane.prompt.detach().isfinite().all():
        return None
    return f"the prompt is no longer finite after {lane.steps} steps; lower the learning rate"


def _tuned(lane: Lane, key: Tensor | None, seconds: float) -> Tuned:
    value = None if lane.failed or lane.best_prompt is None else _kept(lane.best_prompt)
    loss = next((row["dev/loss"] for row in lane.history if row["step"] == lane.best_step), float("nan"))
    return Tuned(
        name=lane.name,
        key=key,
        value=value,
        dev_score=lane.best,
        dev_loss=loss,
        best_step=lane.best_step,
        history=lane.history,
        ended=lane.ended,
        steps=lane.steps,
        examples=lane.examples,
        seconds=seconds,
    )


def _evaluated(side: SideBySide, keys: dict[str, Tensor], begun: float, state: Path | None, told: Told | None) -> None:
    if state is not None:
        with replacing(state) as fresh:
            torch.save({"side": side.state_dict(), "keys": keys, "seconds": time.monotonic() - begun}, fresh)
    if told is not None:
        told(side)


def _resume(side: SideBySide, keys: dict[str, Tensor], state: Path) -> float | None:
    """Take up a state: the seconds of work that went into it; None if there is none."""
    if not state.is_file():
        return None
    try:
        content = torch.load(state, weights_only=True, map_location=side.device)
        side.load_state_dict(content["side"])
    except Exception as error:  # torch's, zip's and pickle's
        print(f"{state} cannot be read ({one_line(error)}); it starts anew")
        return None
    keys |= {name: key.cpu() for name, key in content["keys"].items()}
    return content.get("seconds", 0.0)
