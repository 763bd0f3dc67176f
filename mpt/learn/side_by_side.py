"""Several prompts learned at once on one frozen backbone: the runs are rows of one batch, each with its own prompt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor, nn

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch, join
from mpt.data.modules.few_shot import FewShotData
from mpt.learn.answering import answered
from mpt.learn.rows import RowsWithPrompts, mean_over_batches
from mpt.metrics import by_name as metrics
from mpt.metrics.generation import Tokenize
from mpt.record.rows import Prediction
from mpt.util.best import Best
from mpt.util.errors import one_line
from mpt.util.files import replacing

Row = dict[str, Any]
Observer = Callable[["SideBySide"], None]


@dataclass(frozen=True)
class PackedRun:
    """One of the runs that are trained side by side: what it learns, on what and how.

    Attributes:
        name: what it is called in messages.
        data: its task's draw: batches, dev and test examples, metric.
        prompt: what it learns, ``[P, H]``.
        optimizer: its own, over the prompt alone.
        scheduler: of its learning rate, stepped every optimiser step.
        stopper: ends it early on its dev score.
        labels: what it may answer on dev and test; whatever the model writes if there are none.
    """

    name: str
    data: FewShotData
    prompt: nn.Parameter
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    stopper: EarlyStopping | None = None
    labels: Sequence[str] = ()

    def batches(self, step: int) -> Iterator[TextBatch]:
        """Those that its own run would learn on after so many steps."""
        # The data's own way to go on in the middle, so that the batches cannot differ from an ordinary run's.
        self.data.load_state_dict({"batches": step, "step": step})
        loader: Any = self.data.train_dataloader()
        return (loader.dataset[rows] for rows in loader.sampler)

    def score(self, text: TextBatch, answers: list[str], pieces: Tokenize) -> tuple[str, float]:
        """Score answers by its task's metric: name and value; see :func:`mpt.metrics.by_name.score`."""
        assert self.data.task is not None
        name = self.data.task.metric
        return name, metrics.score(name, answers, text.references, pieces)


@dataclass
class RunProgress:
    """How far one of the runs is.

    Attributes:
        steps: optimiser steps it has made.
        best: its best dev score, with ``best_prompt`` ``[P, H]``, what it was then.
        early: its prompt after a step that an observer asked for, ``[P, H]``.
        ended: why it makes no more steps, if it ended before the others; ``failed`` if that leaves it without a result.
        history: a line per evaluation, ``{"step": …, "train/loss": …, "dev/loss": …, "dev/<metric>": …,
            "dev/score": …}``.
        losses: training loss every ``log_every`` steps, by step.
        loss: of the last step, a scalar on the device.
        outputs: after :meth:`SideBySide.test`, the answer to each test example.
    """

    spec: PackedRun
    steps: int = 0
    best: Best = field(default_factory=Best)
    best_prompt: Tensor | None = None
    early: Tensor | None = None
    ended: str | None = None
    failed: bool = False
    history: list[Row] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    loss: Tensor | None = None
    outputs: list[Prediction] = field(default_factory=list)
    _stream: Iterator[TextBatch] | None = None

    @property
    def prompt(self) -> Tensor:
        """As it is now, ``[P, H]``, without a gradient."""
        return self.spec.prompt.detach()

    @property
    def examples(self) -> int:
        """Example passes of its steps; a stream has no short batch."""
        return self.steps * self.spec.data.batch_size

    def next_batch(self) -> TextBatch:
        """The batch that its own run would learn on now."""
        self._stream = self._stream or self.spec.batches(self.steps)
        return next(self._stream)

    def step(self, gradient: Tensor, loss: Tensor) -> None:
        """One optimiser step along a gradient ``[P, H]``."""
        self.spec.prompt.grad = gradient
        self.spec.optimizer.step()
        if self.spec.scheduler is not None:
            self.spec.scheduler.step()
        self.spec.prompt.grad = None
        self.steps, self.loss = self.steps + 1, loss

    def end(self, why: str, failed: bool) -> None:
        """Let it make no more steps."""
        self.ended, self.failed = why, failed

    def end_if_not_finite(self) -> bool:
        """End it if its prompt or its last loss holds a number that is none; nothing after that can be better."""
        numbers = [self.prompt.sum(), *([] if self.loss is None else [self.loss])]
        if all(math.isfinite(number) for number in torch.stack(numbers).tolist()):
            return False
        self.end(self._not_finite("loss"), failed=self.best_prompt is None)
        return True

    def judge(self, row: Row, score: float, by_loss: bool = False) -> None:
        """Keep what an evaluation gave, and the prompt if none before was as good.

        Args:
            by_loss: whether of equal scores the lower dev loss counts, and not the first one.
        """
        if not math.isfinite(row["dev/loss"]):
            self.end(self._not_finite("dev loss"), failed=self.best_prompt is None)
            return
        lowest = next((one["dev/loss"] for one in self.history if one["step"] == self.best.step), math.inf)
        self.history.append(row)
        better = by_loss and score == self.best.score and row["dev/loss"] < lowest
        if better or self.best.beaten_by(score):
            self.best, self.best_prompt = Best(score, self.steps), self.prompt.clone()
        if self.spec.stopper is not None:
            stop, why = self.spec.stopper._evaluate_stopping_criteria(torch.tensor(score))
            if stop:
                self.ended = why or "early stopping"

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; tensors and plain values only."""
        state = {name: getattr(self, name) for name in _SAVED}
        parts = {name: getattr(self.spec, name) for name in _PARTS}
        parts_state = {name: None if part is None else part.state_dict() for name, part in parts.items()}
        return {**state, **parts_state, "best": (self.best.score, self.best.step), "prompt": self.prompt}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        with torch.no_grad():
            self.spec.prompt.copy_(state["prompt"])
        for name in _PARTS:
            if state[name] is not None:
                getattr(self.spec, name).load_state_dict(state[name])
        for name in _SAVED:
            setattr(self, name, state[name])
        self.best, self._stream = Best(*state["best"]), None

    def _not_finite(self, what: str) -> str:
        return f"its {what} was no longer finite at step {self.steps}; lower its learning rate"


_PARTS = ("optimizer", "scheduler", "stopper")
_SAVED = [each.name for each in fields(RunProgress) if each.name not in ("spec", "loss", "outputs", "_stream")]


class SideBySide:
    """Trains runs in step, as one batch a step.

    A run's batches, loss, gradient and optimiser are its own: it takes the steps that it would alone (in float64 fifty
    of them end within 1e-10). In float32 sums are rounded otherwise than alone, for matrices have other shapes, and the
    rates of prompt tuning make another run of that, as they do alone of a start off by a millionth
    (experiments/results/packing). With dropout in the backbone it is another from the first step on: it learns on other
    masks than alone (one draw serves all rows).

    Args:
        backbone: shared, on the device to work on. Where its options leave attention open, this chooses.
        runs: all with prompts of one shape.
        max_steps: optimiser steps of each.
        every: steps between evaluations on dev; none if not given.
        log_every: steps between kept training losses; none if 0.
        seed: of dropout, with the step.
        autocast: type of the arithmetic, where it is not that of the weights.
        tokens: most tokens of one pass, see :class:`mpt.learn.rows.RowsWithPrompts`.
        by_loss: whether of equal dev scores the lower dev loss counts, and not the first one.

    Attributes:
        runs: how far each is, in their order.
        steps: optimiser steps that were made.
        begun: since when :attr:`seconds` count, on the monotonic clock.
    """

    def __init__(
        self,
        backbone: FrozenBackbone,
        runs: Sequence[PackedRun],
        *,
        max_steps: int,
        every: int | None = None,
        log_every: int = 50,
        seed: int = 0,
        autocast: torch.dtype | None = None,
        tokens: int | None = None,
        by_loss: bool = False,
    ) -> None:
        self.rows = RowsWithPrompts(backbone, autocast, tokens)
        self.by_loss = by_loss
        self.runs = [RunProgress(run) for run in runs]
        self.max_steps, self.every, self.log_every, self.seed = max_steps, every, log_every, seed
        self.steps = 0
        self.begun = time.monotonic()

    @property
    def live(self) -> list[RunProgress]:
        """The runs that still learn."""
        return [run for run in self.runs if run.ended is None]

    @property
    def seconds(self) -> float:
        """Seconds of training, those before the state that it went on from included."""
        return time.monotonic() - self.begun

    def fit(
        self,
        state: Path | None = None,
        stepped: Observer | None = None,
        evaluated: Observer | None = None,
        from_start: bool = False,
        at_end: bool = False,
    ) -> None:
        """Train to the last step, or until every run has ended.

        Args:
            state: file to write after each evaluation, for :meth:`resume`; the caller removes it.
            stepped: called after each step.
            evaluated: called after each evaluation, when the state is written.
            from_start: evaluate before the first step too.
            at_end: evaluate after the last step, whatever the interval.
        """

        def evaluate() -> None:
            self.evaluate()
            if state is not None:
                self._save(state)
            if evaluated is not None:
                evaluated(self)

        if from_start and self.steps == 0 and not any(run.history for run in self.runs):
            evaluate()
        while self.steps < self.max_steps and self.live:
            self.step()
            if stepped is not None:
                stepped(self)
            if (self.every and self.steps % self.every == 0) or (at_end and self.steps == self.max_steps):
                evaluate()

    def step(self) -> None:
        """One optimiser step of every live run."""
        live = self.live
        texts = [run.next_batch() for run in live]
        prompts = torch.stack([run.prompt for run in live])
        losses, gradients = self.rows.gradients(prompts, texts, (self.seed * 1_000_003 + self.steps) * 1_009)
        self.steps += 1
        for run, loss, gradient in zip(live, losses, gradients, strict=True):
            run.step(gradient, loss)
            if self.log_every and self.steps % self.log_every == 0:
                run.losses.append((self.steps, float(loss)))

    def evaluate(self) -> None:
        """Score every live run's prompt on its dev examples and keep it if none before was as good."""
        live = [run for run in self.live if not run.end_if_not_finite()]
        if not live:
            return
        texts = [_all(run.spec.data.val_dataloader()) for run in live]
        labels = [run.spec.labels for run in live]
        judged = self.rows.answers(torch.stack([run.prompt for run in live]), texts, losses=True, labels=labels)
        for run, text, given in zip(live, texts, judged, strict=True):
            name, score = run.spec.score(text, given.texts, self.rows.backbone.pieces)
            row: Row = {"step": self.steps}
            if run.loss is not None:
                row["train/loss"] = float(run.loss)
            row["dev/loss"] = mean_over_batches(given, run.spec.data.eval_batch_size)
            run.judge({**row, f"dev/{name}": score, "dev/score": score}, score, self.by_loss)

    def test(self) -> dict[str, tuple[str, float]]:
        """Metric and score on test of each run's best prompt, by the run's name; those that failed are left out."""
        kept = [(run, run.best_prompt) for run in self.runs if not run.failed and run.best_prompt is not None]
        if not kept:
            return {}
        texts = [_all(run.spec.data.test_dataloader()) for run, _ in kept]
        prompts, labels = torch.stack([prompt for _, prompt in kept]), [run.spec.labels for run, _ in kept]
        said = self.rows.answers(prompts, texts, labels=labels)
        written = self.rows.answers(prompts, texts) if any(labels) else said
        scores = {}
        for (run, _), text, given, other in zip(kept, texts, said, written, strict=True):
            scores[run.spec.name] = run.spec.score(text, given.texts, self.rows.backbone.pieces)
            run.outputs = answered(text, given.texts, written=other.texts if run.spec.labels else None)
        return scores

    def resume(self, state: Path) -> bool:
        """Go on from a file that :meth:`fit` wrote, if there is one that can be read; whether it does."""
        if not state.is_file():
            return False
        try:
            content = torch.load(state, weights_only=True, map_location=self.rows.device)
            found = [content["runs"][run.spec.name] for run in self.runs]
            for run, known in zip(self.runs, found, strict=True):
                if known.keys() != run.state_dict().keys():
                    raise ValueError("another version wrote it")
            steps, tokens, seconds = content["steps"], content["tokens"], content["seconds"]
        except Exception as error:  # torch's, zip's and pickle's, and what an earlier version's lacks
            print(f"{state} cannot be read ({one_line(error)}); it starts anew")
            return False
        for run, known in zip(self.runs, found, strict=True):
            run.load_state_dict(known)
        self.steps, self.rows.tokens = steps, tokens
        self.begun -= seconds
        return True

    def _save(self, state: Path) -> None:
        runs = {run.spec.name: run.state_dict() for run in self.runs}
        known = {"steps": self.steps, "tokens": self.rows.tokens, "seconds": self.seconds, "runs": runs}
        with replacing(state) as fresh, fresh.open("wb") as file:  # a path would hide that the disk is full
            torch.save(known, file)


def _all(loader: Any) -> TextBatch:
    return join([loader.dataset[rows] for rows in loader.sampler])
