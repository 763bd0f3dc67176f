"""What a model's answers are, as rows, and how they are scored: what it writes, or the likeliest of a task's labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mpt.data.modules.batch import TextBatch
from mpt.metrics import by_name as metrics
from mpt.metrics.generation import Tokenize
from mpt.record.rows import Prediction

Answering = Literal["written", "labels"]
"""What counts as an answer: what the model writes, or the likeliest of the task's labels."""


def candidates(labels: Sequence[str], targets: Sequence[str]) -> list[str]:
    """What is weighed: the n labels, and behind them the targets that are none of them (a label that train lacks)."""
    return list(dict.fromkeys([*labels, *targets]))


def likeliest(
    likelihoods: Tensor, weighed: Sequence[str], labels: int, targets: Sequence[str]
) -> tuple[list[str], Tensor]:
    """The likeliest label of each of B rows, and the losses of their targets, ``[B]``; zeros where none are given.

    Args:
        likelihoods: ``[B, m]``, of what :func:`candidates` weighs.
        labels: n, how many of these are labels.
    """
    said = [weighed[best] for best in likelihoods[:, :labels].argmax(1).tolist()]
    if not targets:
        return said, likelihoods.new_zeros(len(likelihoods))
    places = {text: place for place, text in enumerate(weighed)}
    own = torch.tensor([places[target] for target in targets], device=likelihoods.device)
    return said, -likelihoods.gather(1, own[:, None])[:, 0]


def answered(
    text: TextBatch, answers: Sequence[str], task: str | None = None, written: Sequence[str] | None = None
) -> list[Prediction]:
    """B examples and their answers as rows, with what the model wrote where these are the likeliest labels."""
    others: Sequence[str | None] = written if written is not None else [None] * len(text)
    rows = zip(text.inputs, text.references, answers, others, strict=True)
    return [Prediction(source, gold, answer, task, other) for source, gold, answer, other in rows]


def score_predictions(metric: str, rows: Sequence[Prediction], pieces: Tokenize | None = None) -> float:
    """A task's metric over its examples; ``pieces`` as for :func:`mpt.metrics.by_name.score`."""
    return metrics.score(metric, [row.prediction for row in rows], [row.references for row in rows], pieces)


def score_written(metric: str, rows: Sequence[Prediction], pieces: Tokenize | None = None) -> dict[str, float]:
    """``score_written``, a task's metric of what the model wrote, where that is not the prediction anyway."""
    if not rows or any(row.written is None for row in rows):
        return {}
    written = [row.written or "" for row in rows]
    return {"score_written": metrics.score(metric, written, [row.references for row in rows], pieces)}
