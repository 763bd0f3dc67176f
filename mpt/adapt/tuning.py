"""Prompts tuned side by side on given tasks from given starts: each task's early prompt (its key), and its best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import collate
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.task import Example
from mpt.learn.answering import answered
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.rows import RowsWithPrompts
from mpt.learn.side_by_side import Observer, PackedRun, RunProgress, SideBySide
from mpt.metrics import by_name as metrics
from mpt.prompt.initialisers import InitContext, Initialiser, SampledVocabulary
from mpt.record.rows import Prediction
from mpt.util.errors import UserError


@dataclass(frozen=True)
class TuningJob:
    """One prompt to tune.

    Attributes:
        name: of its own among those beside it.
        data: what it learns on; the seed orders its batches.
        start: ``[P, H]``.
        learning_rate: of Adafactor, constant.
        labels: what may be answered on dev, see :meth:`mpt.learn.rows.RowsWithPrompts.answers`.
    """

    name: str
    data: FewShotData
    start: Tensor
    learning_rate: float
    labels: Sequence[str] = ()


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
        history: a line per evaluation, see :class:`mpt.learn.side_by_side.RunProgress`.
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
    return (init or SampledVocabulary())(length, InitContext.of(backbone, seed)).cpu()


def early_prompts(
    backbone: FrozenBackbone,
    jobs: Sequence[TuningJob],
    steps: int,
    autocast: torch.dtype | None = None,
    stepped: Observer | None = None,
) -> list[Tensor]:
    """Only the prompts after so many steps, each ``[P, H]`` on the CPU: the keys of tasks that are to be looked up.

    Args:
        stepped: called after each step.

    Raises:
        UserError: the loss of one was not finite.
    """
    runs = _runs(backbone, jobs)
    side = SideBySide(backbone, runs, max_steps=steps, log_every=0, autocast=autocast)
    side.fit(stepped=_keep_early(steps, then=stepped))
    if failed := next((run for run in side.runs if run.failed), None):
        raise UserError(f"{failed.spec.name}: {failed.ended}")
    return [run.early for run in side.runs if run.early is not None]


def tune(
    backbone: FrozenBackbone,
    jobs: Sequence[TuningJob],
    *,
    steps: int,
    every: int,
    key_steps: int | None = None,
    key_needed: bool = True,
    from_start: bool = False,
    state: Path | None = None,
    told: Observer | None = None,
    stepped: Observer | None = None,
    autocast: torch.dtype | None = None,
) -> list[Tuned]:
    """Tune prompts side by side: what became of each, in the jobs' order.

    A prompt that is no longer finite fails alone, the others go on.

    Args:
        backbone: shared, on the device to work on.
        jobs: with starts of one shape.
        steps: optimiser steps of each.
        every: steps between evaluations on dev.
        key_steps: after how many steps the early prompt is taken.
        key_needed: whether a prompt that is not finite then has failed, whatever it was before.
        from_start: evaluate the starts too, before the first step.
        state: file to go on from, if it is there, and to write after each evaluation; the caller sees to it that it
            belongs to these very jobs, and removes it. One that cannot be read is no more than none.
        told: called after each evaluation, and once at the beginning of work that goes on from a state.
        stepped: called after each step.
        autocast: type of the arithmetic, where it is not that of the weights.

    Raises:
        UserError: numbers that do not fit one another.
    """
    if not 0 < every <= steps:
        raise UserError(f"it is evaluated every {every} steps of {steps}; that number must be 1 to {steps}")
    if key_steps is not None and not 0 < key_steps <= steps:
        raise UserError(f"key_steps must be from 1 to the {steps} steps of the tuning, not {key_steps}")
    runs = _runs(backbone, jobs)
    # Where one of few labels is answered, scores are often equal, that of an untuned prompt among them.
    by_loss = any(job.labels for job in jobs)
    side = SideBySide(backbone, runs, max_steps=steps, every=every, log_every=0, autocast=autocast, by_loss=by_loss)
    if state is not None and side.resume(state) and told is not None:
        told(side)
    keep = _keep_early(key_steps, key_needed, stepped)
    side.fit(state, keep, told, from_start=from_start, at_end=True)
    return [_tuned(run, side.seconds / len(side.runs)) for run in side.runs]


def answers(
    backbone: FrozenBackbone,
    prompts: Sequence[Tensor],
    data: FewShotData,
    examples: Sequence[Example],
    labels: Sequence[str] = (),
    autocast: torch.dtype | None = None,
) -> list[tuple[float, list[Prediction]]]:
    """Score some prompts on examples of a task: for each its score and its answers.

    Args:
        prompts: each ``[P, H]``.
        data: the task's, whose metric counts.
        labels: what may be answered.
        autocast: as for :func:`tune`.
    """
    assert data.task is not None
    metric, text = data.task.metric, collate((data.task_name, example) for example in examples)
    rows = RowsWithPrompts(backbone, autocast)
    stacked = torch.stack([prompt.detach().float() for prompt in prompts]).to(rows.device)
    judged = rows.answers(stacked, [text] * len(prompts), labels=[labels] * len(prompts))
    score = partial(metrics.score, metric, references=text.references, pieces=backbone.pieces)
    return [(score(one.texts), answered(text, one.texts)) for one in judged]


def _runs(backbone: FrozenBackbone, jobs: Sequence[TuningJob]) -> list[PackedRun]:
    device = next(backbone.model.parameters()).device
    runs = []
    for job in jobs:
        prompt = nn.Parameter(job.start.detach().clone().float().to(device))
        optimizer = PromptAdafactor([prompt], lr=job.learning_rate)
        runs.append(PackedRun(job.name, job.data, prompt, optimizer, labels=job.labels))
    return runs


def _keep_early(step: int | None, needed: bool = True, then: Observer | None = None) -> Observer:
    """Keep each prompt that is finite after a step; where its key is needed, one that is not ends there.

    Args:
        then: called after every step.
    """

    def keep(side: SideBySide) -> None:
        for run in side.live if side.steps == step else []:
            if run.prompt.isfinite().all():
                run.early = run.prompt.to("cpu", copy=True)
            elif needed:
                why = f"the prompt is no longer finite after {run.steps} steps; lower the learning rate"
                run.end(why, failed=True)
        if then is not None:
            then(side)

    return keep


def _tuned(run: RunProgress, seconds: float) -> Tuned:
    value = None if run.failed or run.best_prompt is None else run.best_prompt.to("cpu", copy=True)
    loss = next((row["dev/loss"] for row in run.history if row["step"] == run.best.step), float("nan"))
    return Tuned(
        name=run.spec.name,
        key=None if run.early is None else run.early.cpu(),
        value=value,
        dev_score=run.best.score,
        dev_loss=loss,
        best_step=run.best.step,
        history=run.history,
        ended=run.ended,
        steps=run.steps,
        examples=run.examples,
        seconds=seconds,
    )
