"""Several prompts learned at once on one frozen backbone: the runs are rows of one batch, each with its own prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor, nn

from mpt.backbone.answering import answer
from mpt.backbone.encoding import Batch
from mpt.backbone.grouping import CPU_TOKENS, groups, select
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch, join
from mpt.data.modules.few_shot import FewShotData
from mpt.metrics import crossfit as metrics
from mpt.util.random_state import seed_generators

Row = dict[str, Any]


@dataclass
class Lane:
    """One run among those that are trained side by side.

    Attributes:
        name: what it is called in messages.
        prompt: what it learns, ``[P, H]``.
        optimizer: its own, over the prompt alone.
        data: its task's draw: batches, dev and test examples, metric.
        scheduler: of its learning rate, stepped every optimiser step.
        stopper: ends it early on its dev score.
        best: its highest dev score, and ``best_step``, ``best_prompt`` where that was first reached.
        steps: optimiser steps it has made.
        ended: why it makes no more, if it ended before the others; ``failed`` if that leaves it without a result.
        history: a line per evaluation, ``{"step": …, "train/loss": …, "dev/loss": …, "dev/<metric>": …,
            "dev/score": …}``.
        losses: training loss every ``log_every`` steps, by step.
        outputs: after :meth:`SideBySide.test`, ``{"input", "references", "prediction"}`` of each test example.
    """

    name: str
    prompt: nn.Parameter
    optimizer: torch.optim.Optimizer
    data: FewShotData
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    stopper: EarlyStopping | None = None
    best: float = -math.inf
    best_step: int | None = None
    best_prompt: Tensor | None = None
    steps: int = 0
    ended: str | None = None
    failed: bool = False
    history: list[Row] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    outputs: list[Row] = field(default_factory=list)
    loss: Tensor | None = None
    """Of the last step, on the device."""
    _stream: Iterator[TextBatch] | None = None

    @property
    def examples(self) -> int:
        """Example passes of its steps; a stream has no short batch."""
        return self.steps * self.data.batch_size

    def next_batch(self) -> TextBatch:
        """The batch that its own run would learn on now."""
        if self._stream is None:
            # The data's own way to go on in the middle, so that the batches cannot differ from an ordinary run's.
            self.data.load_state_dict({"batches": self.steps, "step": self.steps})
            loader: Any = self.data.train_dataloader()
            self._stream = (loader.dataset[rows] for rows in loader.sampler)
        return next(self._stream)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; tensors and plain values only."""
        names = ("best", "best_step", "best_prompt", "steps", "ended", "failed", "history", "losses")
        state: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name in ("optimizer", "scheduler", "stopper"):
            part = getattr(self, name)
            state[name] = None if part is None else part.state_dict()
        return {**state, "prompt": self.prompt.detach()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        state = dict(state)
        with torch.no_grad():
            self.prompt.copy_(state.pop("prompt"))
        for name in ("optimizer", "scheduler", "stopper"):
            if (part := state.pop(name)) is not None:
                getattr(self, name).load_state_dict(part)
        for name, value in state.items():
            setattr(self, name, value)
        self._stream = None


class SideBySide:
    """Trains lanes in step, as one batch a step.

    A lane's batches, loss, gradient and optimiser are its own: it takes the steps that it would alone (in float64 fifty
    of them end within 1e-10). In float32 sums are rounded otherwise than alone, for matrices have other shapes, and the
    rates of prompt tuning make another run of that, as they do alone of a start off by a millionth
    (experiments/results/packing). With dropout in the backbone it is another from the first step on: it learns on other
    masks than alone (one draw serves all rows).

    Args:
        backbone: shared, on the device to work on. Where its options leave attention open, this chooses.
        lanes: all with prompts of one shape.
        max_steps: optimiser steps of each.
        every: steps between evaluations on dev.
        log_every: steps between kept training losses.
        seed: of dropout, with the step.
        autocast: type of the arithmetic, where it is not that of the weights.
        tokens: most tokens of one pass through the backbone (its padding and prompts count); chosen by the device
            if not given.
    """

    def __init__(
        self,
        backbone: FrozenBackbone,
        lanes: Sequence[Lane],
        *,
        max_steps: int,
        every: int,
        log_every: int = 50,
        seed: int = 0,
        autocast: torch.dtype | None = None,
        tokens: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.lanes = list(lanes)
        self.max_steps, self.every, self.log_every = max_steps, every, log_every
        self.seed = seed
        self.autocast = autocast
        self.device = next(backbone.model.parameters()).device
        self.tokens = tokens
        if self.device.type == "cpu":
            self.tokens = tokens or CPU_TOKENS * torch.get_num_threads()
            if backbone.options.attention is None:
                # In groups as small as these the plain products are faster than the fused kernel (mpt-tiny: by 8 %).
                backbone.model.set_attn_implementation("eager")
        self.steps = 0

    @property
    def live(self) -> list[Lane]:
        """The lanes that still learn."""
        return [lane for lane in self.lanes if lane.ended is None]

    def fit(self, evaluated: Callable[[], None] | None = None) -> None:
        """Train to the last step, or until every lane has ended.

        Args:
            evaluated: called after each evaluation: the moment to save the state.
        """
        while self.steps < self.max_steps and self.live:
            self.step()
            if self.steps % self.every == 0:
                self.evaluate()
                if evaluated is not None:
                    evaluated()

    def step(self) -> None:
        """One optimiser step of every live lane."""
        lanes = self.live
        texts = [lane.next_batch() for lane in lanes]
        sizes = [len(text) for text in texts]
        batch = self._encode(join(texts), targets=True)
        owners = torch.arange(len(lanes)).repeat_interleave(torch.tensor(sizes)).to(self.device)
        tokens = torch.stack([part.sum() for part in batch.target_lengths.split(sizes)])
        self.backbone.train()
        seed_generators((self.seed * 1_000_003 + self.steps) * 1_009, self.device)
        prompts = torch.stack([lane.prompt.detach() for lane in lanes])
        # A gradient per row, summed by lane in the rows' own order: no sum that a device makes in any order it likes.
        gradients = prompts.new_zeros(len(batch), *prompts.shape[1:])
        losses = prompts.new_zeros(len(batch))

        def learn(rows: Tensor) -> None:
            leaf = prompts[owners[rows]].requires_grad_()
            with self._arithmetic():
                loss = self.backbone.loss(leaf, select(batch, rows, self.backbone.decoder_only))
            (loss / tokens[owners[rows]]).sum().backward()
            assert leaf.grad is not None
            gradients[rows], losses[rows] = leaf.grad, loss.detach()

        self._by_groups(batch, prompts.shape[1], learn)
        self.steps += 1
        for lane, gradient, loss, count in zip(lanes, gradients.split(sizes), losses.split(sizes), tokens, strict=True):
            lane.prompt.grad = gradient.sum(0)
            lane.optimizer.step()
            if lane.scheduler is not None:
                lane.scheduler.step()
            lane.prompt.grad = None
            lane.steps, lane.loss = self.steps, loss.sum() / count
            if self.log_every and self.steps % self.log_every == 0:
                lane.losses.append((self.steps, float(lane.loss)))

    def evaluate(self) -> None:
        """Score every live lane's prompt on its dev examples and keep it if none before was as good."""
        self._end_diverged()
        lanes = self.live
        if not lanes:
            return
        texts = [_all(lane.data.val_dataloader()) for lane in lanes]
        prompts = torch.stack([lane.prompt.detach() for lane in lanes])
        predictions, losses = self._answer(prompts, texts, with_loss=True)
        for lane, text, answers, (loss, tokens) in zip(lanes, texts, predictions, losses, strict=True):
            name, score = self._score(lane, text, answers)
            row: Row = {"step": self.steps}
            if lane.loss is not None:
                row["train/loss"] = float(lane.loss)
            row["dev/loss"] = _mean_over_batches(loss, tokens, lane.data.eval_batch_size)
            if not math.isfinite(row["dev/loss"]):
                self._end(lane, "dev loss")
                continue
            lane.history.append({**row, f"dev/{name}": score, "dev/score": score})
            if score > lane.best:
                lane.best, lane.best_step = score, self.steps
                lane.best_prompt = lane.prompt.detach().clone()
            if lane.stopper is not None:
                stop, why = lane.stopper._evaluate_stopping_criteria(torch.tensor(score))
                if stop:
                    lane.ended = why or "early stopping"

    def test(self) -> dict[str, tuple[str, float]]:
        """Metric and score on test of each lane's best prompt, by the lane's name; those that failed are left out."""
        lanes = [lane for lane in self.lanes if not lane.failed and lane.best_prompt is not None]
        if not lanes:
            return {}
        texts = [_all(lane.data.test_dataloader()) for lane in lanes]
        prompts = torch.stack([lane.best_prompt for lane in lanes if lane.best_prompt is not None])
        scores = {}
        for lane, text, answers in zip(lanes, texts, self._answer(prompts, texts)[0], strict=True):
            scores[lane.name] = self._score(lane, text, answers)
            lane.outputs = [
                {"input": source, "references": list(references), "prediction": answer}
                for source, references, answer in zip(text.inputs, text.references, answers, strict=True)
            ]
        return scores

    def state_dict(self) -> dict[str, Any]:
        """What to go on from after an evaluation."""
        return {"steps": self.steps, "tokens": self.tokens, "lanes": {x.name: x.state_dict() for x in self.lanes}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.steps, self.tokens = state["steps"], state["tokens"]
        for lane in self.lanes:
            lane.load_state_dict(state["lanes"][lane.name])

    # Inside --------------------------------------------------------------------------------------------------------

    def _end_diverged(self) -> None:
        for lane in self.live:
            numbers = [lane.prompt.detach().sum(), *([] if lane.loss is None else [lane.loss])]
            if not all(math.isfinite(number) for number in torch.stack(numbers).tolist()):
                self._end(lane, "loss")

    def _end(self, lane: Lane, what: str) -> None:
        """Nothing that comes after can be better than what it has, so it ends as its own run does."""
        lane.failed = lane.best_prompt is None
        lane.ended = f"its {what} was no longer finite at step {self.steps}; lower its learning rate"

    @torch.no_grad()
    def _answer(
        self, prompts: Tensor, texts: Sequence[TextBatch], with_loss: bool = False
    ) -> tuple[list[list[str]], list[tuple[Tensor, Tensor]]]:
        """Each lane's answers to its own texts; with them each row's loss and target tokens, where asked for."""
        self.backbone.eval()
        sizes = [len(text) for text in texts]
        batch = self._encode(join(texts), with_loss)
        owners = torch.arange(len(texts)).repeat_interleave(torch.tensor(sizes)).to(self.device)
        answers = [""] * len(batch)
        losses = prompts.new_zeros(len(batch))

        def work(rows: Tensor) -> None:
            part, own = select(batch, rows, self.backbone.decoder_only), prompts[owners[rows]]
            with self._arithmetic():
                written, nll = answer(self.backbone, own, part)
            if nll is not None:
                losses[rows] = nll
            for row, text in zip(rows.tolist(), written, strict=True):
                answers[row] = text

        self._by_groups(batch, prompts.shape[1], work)
        given = iter(answers)
        told = [[next(given) for _ in range(size)] for size in sizes]
        if not with_loss:
            return told, []
        return told, list(zip(losses.split(sizes), batch.target_lengths.split(sizes), strict=True))

    def _by_groups(self, batch: Batch, prompt_length: int, work: Callable[[Tensor], None]) -> None:
        """Do the work for all rows, in groups that the device has room for."""
        todo = groups(batch, prompt_length, self.tokens)
        while todo:
            rows = todo.pop(0)
            try:
                work(rows.to(self.device))
                continue
            except torch.cuda.OutOfMemoryError:
                if len(rows) == 1:
                    raise
            # Outside of the handler, whose exception holds on to the tensors.
            torch.cuda.empty_cache()
            half = len(rows) // 2
            todo[:0] = [rows[:half], rows[half:]]
            width = int(batch.input_mask[rows.to(self.device)].sum(1).max()) + prompt_length
            self.tokens = min(self.tokens or math.inf, (half + 1) * width)  # type: ignore[assignment]

    def _encode(self, text: TextBatch, targets: bool) -> Batch:
        return self.backbone.encode(text.inputs, text.targets if targets else None).to(self.device)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)

    @staticmethod
    def _score(lane: Lane, text: TextBatch, answers: list[str]) -> tuple[str, float]:
        assert lane.data.task is not None
        name = lane.data.task.metric
        return name, metrics.score(name, answers, text.references)


def _all(loader: Any) -> TextBatch:
    return join([loader.dataset[rows] for rows in loader.sampler])


def _mean_over_batches(losses: Tensor, tokens: Tensor, size: int) -> float:
    """As Lightning logs it: the mean per token of each batch, averaged over rows."""
    parts = zip(losses.split(size), tokens.split(size), strict=True)
    return sum(float(loss.sum() / count.sum()) * len(loss) for loss, count in parts) / len(losses)
