"""What a learner answers to rows, and how it is scored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import Backbone, token_mean
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.streams import in_order
from mpt.learn.answering import Answering, answered, candidates, likeliest, score_predictions, score_written
from mpt.record.rows import Prediction

log = logging.getLogger(__name__)


class Judged(LightningModule):
    """Answers rows on dev (where a learner's own step asks), test and predict, and logs the scores, over all devices.

    Attributes:
        answers: what counts as an answer.
        labels: of the data's task or tasks.
        outputs: the rows that were answered since the last evaluation began.
    """

    backbone: Backbone

    def __init__(self, answers: Answering) -> None:
        super().__init__()
        self.answers = answers
        self.labels: tuple[str, ...] = ()
        self.outputs: list[Prediction] = []
        self._cut_reported = {"input": 0, "target": 0}
        self._targets_told = False

    def prompt_for(self, batch: TextBatch) -> Tensor | None:
        """The prompt these rows are read with: ``[P, H]``, ``[B, P, H]`` or ``None``."""
        return None

    def test_step(self, batch: tuple[TextBatch, Batch], batch_idx: int) -> None:
        text, tensors = batch
        said, written = self._answers_both_ways(text, tensors)
        self.outputs += answered(text, said, written=written)

    def predict_step(self, batch: tuple[TextBatch, Batch], batch_idx: int) -> list[str]:
        text, tensors = batch
        said = self._answers(text, tensors)
        self.outputs += answered(text, said)
        return said

    def on_validation_epoch_start(self) -> None:
        self.outputs.clear()

    on_test_epoch_start = on_predict_epoch_start = on_validation_epoch_start

    def on_test_epoch_end(self) -> None:
        self._log_score("test")

    def on_fit_end(self) -> None:
        self._report_cut()

    def on_predict_epoch_end(self) -> None:
        self._gather_outputs()
        self._report_cut()

    def score_outputs(self) -> tuple[str, float] | None:
        """Metric name and value over :attr:`outputs`; ``None`` where the data has no task or no references."""
        task = getattr(self._data, "task", None)
        if task is None or not self.outputs or not all(row.references for row in self.outputs):
            return None
        return task.metric, score_predictions(task.metric, self.outputs, self.backbone.pieces)

    def scores(self) -> dict[str, float]:
        """Scores of :attr:`outputs` by the name they are logged under; ``score`` is what a run is judged by."""
        scored = self.score_outputs()
        if scored is None:
            return {}
        metric, value = scored
        return {metric: value, "score": value, **score_written(metric, self.outputs, self.backbone.pieces)}

    def written(self, text: TextBatch, prompt: Tensor | None = None) -> list[str]:
        """What the model writes to B inputs, whatever counts as an answer; behind another prompt where one is given."""
        return self._written(text, self.backbone.encode(text.inputs).to(self.device), prompt)

    @property
    def _data(self) -> Any:
        return getattr(self.trainer, "datamodule", None)

    def _judge(self, prompt: Tensor | None, text: TextBatch, tensors: Batch, task: str | None = None) -> Tensor:
        """Keep a prompt's answers to rows of a dev set, of one task of several or the only one, and log its loss."""
        labels = self.labels if task is None else self._data.validation_tasks[task].labels
        if self.answers == "labels" and labels:
            said, losses = self._likeliest(prompt, tensors, labels, text.targets)
        else:
            answers = self.backbone.answer(prompt, tensors)
            assert answers.losses is not None
            said, losses = answers.texts, answers.losses
        loss = token_mean(losses, tensors)
        self.log("dev/loss", loss, batch_size=len(tensors), sync_dist=True)
        self.outputs += answered(text, said, task)
        return loss

    def _answers(self, text: TextBatch, tensors: Batch) -> list[str]:
        if self.answers == "labels":
            return self._likeliest(self.prompt_for(text), tensors, self.labels)[0]
        return self._written(text, tensors)

    def _answers_both_ways(self, text: TextBatch, tensors: Batch) -> tuple[list[str], list[str] | None]:
        """What counts as the answers, and what is written where that is another thing; the inputs are read once."""
        if self.answers == "written":
            return self._written(text, tensors), None
        given = self.backbone.answer(self.prompt_for(text), tensors, options=self.labels)
        assert given.losses is not None
        return likeliest(-given.losses, self.labels, len(self.labels), ())[0], given.texts

    def _written(self, text: TextBatch, tensors: Batch, prompt: Tensor | None = None) -> list[str]:
        prompt = self.prompt_for(text) if prompt is None else prompt
        return self.backbone.answer(prompt, replace(tensors, labels=None)).texts  # no loss is asked for

    def _likeliest(
        self, prompt: Tensor | None, tensors: Batch, labels: Sequence[str], targets: Sequence[str] = ()
    ) -> tuple[list[str], Tensor]:
        """The likeliest label of each row, and the losses of the targets that are given, ``[B]``."""
        weighed = candidates(labels, targets)
        return likeliest(self.backbone.score(prompt, tensors, weighed), weighed, len(labels), targets)

    def _gather_outputs(self) -> None:
        """Every device has answered its share; a metric such as macro F1 needs them all at once."""
        if self.trainer.world_size > 1:
            shares: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(shares, self.outputs)
            self.outputs = in_order(shares, getattr(self._data, "eval_batch_size", 1))

    def _log_score(self, stage: str) -> None:
        self._gather_outputs()
        if not any(self._cut_reported.values()):
            self._report_cut()
        for name, value in self.scores().items():
            self.log(f"{stage}/{name}", value, prog_bar=name == "score")

    def _report_cut(self) -> None:
        encode = self.backbone.encode
        kinds = [("input", " (the prompt is kept whole)"), ("target", "")]
        # Of a task's outputs it was said before; unlabelled text is cut into targets only as it comes.
        for kind, more in kinds[:1] if self._targets_told else kinds:
            cut, seen = getattr(encode, f"{kind}s_cut"), getattr(encode, f"{kind}s_seen")
            if cut > self._cut_reported[kind]:
                self._cut_reported[kind] = cut
                option = f"max_{kind}_length={getattr(encode, f'max_{kind}_length')}"
                warn(f"{cut} of {seen} {kind}s were longer than {option} tokens and were cut{more}")


@rank_zero_only
def warn(sentence: str) -> None:
    """Say it once, however many devices are at work."""
    log.warning("%s", sentence)
