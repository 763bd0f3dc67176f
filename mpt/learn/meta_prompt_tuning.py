"""Meta prompt tuning: one prompt by a meta-algorithm over episodes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from mpt.backbone.encoding import Batch
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.modules.batch import Episode, EpisodeBatch, TextBatch, join
from mpt.learn.accumulation import check_eval_interval
from mpt.learn.answering import Answering, score_predictions
from mpt.learn.divergence import first_exploded_episode
from mpt.learn.meta import MAML, MetaAlgorithm, MetaGradient
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.outer_step import OuterStep
from mpt.learn.prompt_learner import PromptLearner
from mpt.learn.shared_gradient import stop_together
from mpt.prompt.files import load_prompt
from mpt.prompt.initialisers import Initialiser, SampledVocabulary
from mpt.prompt.reparameterisation import Reparameterisation
from mpt.util.errors import KEPT, UserError
from mpt.util.random_state import seed_generators

EncodedEpisodes = list[tuple[list[Episode], list[Batch], Batch | None]]
"""Episodes that are taken side by side, with their support batches and, in training, their query batch."""


class MetaPromptTuning(PromptLearner):
    """Meta-learns one soft prompt on source tasks, so that a new few-shot task succeeds from it (Qin et al. 2023).

    Each step is a meta-batch of episodes (:class:`mpt.data.modules.episodes.EpisodeData`); the mean of their
    meta-gradients goes to the outer optimiser (equations 2 to 4). Episodes are taken one by one, so that a larger
    meta-batch needs no more memory, or several side by side. On several devices each takes its share. Logged:
    ``train/support_loss`` before and ``train/support_loss_after`` the inner steps and ``train/query_loss``, all of the
    first device's share; with validation tasks ``dev/loss``, ``dev/score`` and ``dev/<task>``, at the prompt adapted
    to each task's support.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        prompt_length: number of prompt rows, P (the paper: 100).
        algorithm: MAML, FoMAML, Reptile, or an engine of :mod:`mpt.learn.meta`.
        init: where the prompt starts.
        optimizer: the outer optimiser.
        lr_scheduler: optional schedule of the outer rate, stepped every optimiser step.
        gradient_clip_val: largest norm of the meta-gradient; larger ones are scaled down to it.
        accumulate_grad_batches: meta-batches of an optimiser step.
        parallel_episodes: episodes of a device's share that are taken side by side, as rows of one batch with a
            prompt each: the same gradient (up to dropout masks and padding's rounding) in fewer, larger steps.
        learn_inner_lr: learn the inner rate along (Meta-SGD, Li et al. 2017): one for all (``scalar``) or one for
            each prompt row (``token``), starting from the algorithm's. It is learned by its logarithm, so it stays
            positive.
        inner_lr_lr: learning rate of that logarithm; the schedule scales it too.
        validation_steps: inner steps of meta-validation; the algorithm's if null.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged in meta-validation: what the model writes, or the likeliest label.
        reparameterisation: what is learned in the prompt's place, in inner and outer steps, if anything is.
    """

    learns_from_episodes = True

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        prompt_length: int = 100,
        algorithm: MetaAlgorithm = MAML(),  # noqa: B008 (immutable)
        init: Initialiser = SampledVocabulary(),  # noqa: B008 (immutable)
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        gradient_clip_val: float | None = None,
        accumulate_grad_batches: int = 1,
        parallel_episodes: int = 1,
        learn_inner_lr: Literal["scalar", "token"] | None = None,
        inner_lr_lr: float = 0.01,
        validation_steps: int | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
        reparameterisation: Reparameterisation | None = None,
    ) -> None:
        super().__init__(
            backbone, prompt_length, init, optimizer, lr_scheduler, backbone_options, answers, reparameterisation
        )
        for option, value, ok, least in (
            ("gradient_clip_val", gradient_clip_val, gradient_clip_val is None or gradient_clip_val > 0, "above 0"),
            ("accumulate_grad_batches", accumulate_grad_batches, accumulate_grad_batches >= 1, "at least 1"),
            ("parallel_episodes", parallel_episodes, parallel_episodes >= 1, "at least 1"),
            ("inner_lr_lr", inner_lr_lr, inner_lr_lr > 0, "above 0"),
            ("validation_steps", validation_steps, validation_steps is None or validation_steps >= 1, "at least 1"),
        ):
            if not ok:
                raise UserError(f"model.{option} must be {least}, not {value}")
        if learn_inner_lr and not algorithm.learns_rates:
            raise UserError(
                f"model.learn_inner_lr: {type(algorithm).__name__} cannot learn inner rates; MAML and FoMAML can"
            )
        if parallel_episodes > 1 and not algorithm.batches_episodes:
            raise UserError(
                f"model.parallel_episodes must be 1 with {type(algorithm).__name__}, which takes one prompt"
            )
        self.automatic_optimization = False
        self.algorithm = algorithm
        self.gradient_clip_val = gradient_clip_val
        self.accumulate_grad_batches = accumulate_grad_batches
        self.parallel_episodes = parallel_episodes
        self.learn_inner_lr = learn_inner_lr
        self.inner_lr_lr = inner_lr_lr
        self.validation_steps = validation_steps

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        super().build_on(backbone, labels)
        self.algorithm.check_backbone(backbone)
        if self.reparameterisation is not None and self.reparameterisation.has_kinks:
            self.algorithm.warn_of_kinks(f"the reparameterisation {type(self.reparameterisation).__name__}")
        if self.learn_inner_lr:
            rows = self.prompt.length if self.learn_inner_lr == "token" else 1
            self.log_inner_lr = nn.Parameter(torch.full((rows,), self.algorithm.inner_lr).log())
        # By embeddings, like which a prompt starts.
        self._ordinary_norm = float(self.backbone.embeddings.float().norm(dim=1).mean()) * self.prompt_length**0.5
        self._exploded: str | None = None
        # DDP would send the frozen model to every device, and wait for gradients that it never has.
        frozen = [f"backbone.{name}" for name, _ in self.backbone.named_parameters()]
        frozen += [f"backbone.{name}" for name, _ in self.backbone.named_buffers()]
        self._ddp_params_and_buffers_to_ignore = frozen

    def parameter_groups(self) -> Iterable[Any]:
        if not self.learn_inner_lr:
            return super().parameter_groups()
        rates = {"params": [self.log_inner_lr], "lr": self.inner_lr_lr, "weight_decay": 0.0}
        return [{"params": [self.prompt.weight]}, rates]

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        known: dict[str, Any] = {"algorithm": type(self.algorithm).__name__, "inner_steps": self.algorithm.inner_steps}
        rate = self.inner_rate()
        known["inner_lr"] = self.algorithm.inner_lr if rate is None else rate.flatten().tolist()
        super().save_learned(folder, known | facts)

    def identity(self, data: Any) -> dict[str, Any]:
        known = {"algorithm": type(self.algorithm).__name__, "inner steps": self.algorithm.inner_steps}
        # A rate that is learned is in the checkpoint.
        rate = {} if self.learn_inner_lr else {"inner rate": self.algorithm.inner_lr}
        return {**super().identity(data), **known, **rate}

    def load_learned(self, folder: Path) -> None:
        if self.reparameterisation is not None and self.trainer.state.fn == "validate":
            raise UserError(
                "mpt validate takes inner steps on what was learned, of which a prompt's folder holds only the prompt "
                f"that {type(self.reparameterisation).__name__} made of it; what dev scored is in metrics.jsonl"
            )
        super().load_learned(folder)
        if not self.learn_inner_lr:
            return
        rates = load_prompt(folder).facts.get("inner_lr")
        if not isinstance(rates, list) or len(rates) != len(self.log_inner_lr):
            raise UserError(
                f"prompt {folder} was not learned with model.learn_inner_lr {self.learn_inner_lr}: "
                "give the configuration it was trained with"
            )
        with torch.no_grad():
            self.log_inner_lr.copy_(torch.tensor(rates).log())

    def inner_rate(self) -> Tensor | None:
        """Learned inner rates, ``[P, 1]`` or ``[1, 1]``; none if they are not learned."""
        return self.log_inner_lr.detach().exp().unsqueeze(-1) if self.learn_inner_lr else None

    # Lightning -----------------------------------------------------------------------------------------------------

    def check_trainer(self, trainer: Trainer) -> None:
        for option, value in (
            ("gradient_clip_val", trainer.gradient_clip_val),
            ("accumulate_grad_batches", trainer.accumulate_grad_batches),
            ("gradient_clip_algorithm", trainer.gradient_clip_algorithm),
        ):
            if value not in (None, 1) or (option == "gradient_clip_val" and value):
                raise UserError(
                    f"trainer.{option} does not act on meta-gradients, which the learner applies itself; "
                    f"use model.{option}"
                )
        check_eval_interval(trainer, self.accumulate_grad_batches, "model")

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if str(self.trainer.precision).startswith("16"):
            raise UserError(
                f"trainer.precision {self.trainer.precision} would need its losses scaled inside every inner loop; "
                "use bf16-mixed or 32-true"
            )
        tasks = getattr(self._data, "validation_tasks", {})
        if 0 < len(tasks) < self.trainer.world_size:
            # Lightning ends on the idle ones with an error, and leaves the others waiting for them.
            raise UserError(
                f"--data.validation names {len(tasks)} of the {self.trainer.world_size} tasks that so many devices need"
            )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if not isinstance(batch, EpisodeBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)

        def encode(texts: list[TextBatch]) -> Batch:
            text = join(texts)
            return self.backbone.encode(text.inputs, text.targets).to(device)

        training = self.trainer.training
        every = self.parallel_episodes if training else 1
        groups = [batch.episodes[first : first + every] for first in range(0, len(batch.episodes), every)]
        return batch, [
            (
                group,
                [encode(list(texts)) for texts in zip(*(one.support for one in group), strict=True)],
                encode([one.query for one in group]) if training else None,
            )
            for group in groups
        ]

    def on_train_start(self) -> None:
        self._outer_step = OuterStep(self._learned(), self.accumulate_grad_batches, self.gradient_clip_val)

    def training_step(self, batch: tuple[EpisodeBatch, EncodedEpisodes], batch_idx: int) -> None:
        texts, encoded = batch
        self._count(sum(self._passes(episode) for episode in texts.episodes))
        results = []
        trouble = None
        for episodes, support, query in encoded:
            assert query is not None
            # A function of seed and episode (of several side by side, the first): no resume changes a mask, nor does
            # the number of devices as long as the same episodes go side by side.
            seed_generators(self.seed * 1_000_003 + episodes[0].number, self.device)
            start = self.prompt.weight.detach()
            if len(episodes) > 1:
                start = start.expand(len(episodes), -1, -1)
            result = self.algorithm(self._loss, start, support, query, self.inner_rate())
            trouble = trouble or self._trouble(result, [episode.task for episode in episodes])
            results.append(result)
            self._outer_step.add(self._gradients(result), texts.size)
        stop_together(trouble, self.device)
        self._log_losses(results)
        if self._outer_step.end_batch():
            self._outer_step.take(self.optimizers(), self.trainer.global_step)
            scheduler: Any = self.lr_schedulers()
            if scheduler is not None:
                scheduler.step()

    def validation_step(self, batch: tuple[EpisodeBatch, EncodedEpisodes], batch_idx: int) -> None:
        if torch.is_inference_mode_enabled():
            raise UserError("meta-validation adapts prompts, which needs gradients: set trainer.inference_mode false")
        for (episode,), support, _ in batch[1]:
            rate = self.inner_rate()
            adapted = self.algorithm.adapt(self._loss, self.prompt.weight, support, rate, self.validation_steps)
            trouble = self._ran_away(adapted, [episode.task], {"a gradient": adapted.abs().sum()})
            if trouble:
                self._exploded = self._exploded or trouble
                continue
            for part in episode.query.parts(self.trainer.datamodule.eval_batch_size):  # type: ignore[attr-defined]
                query = self.backbone.encode(part.inputs, part.targets).to(self.device)
                self._judge(self.made(adapted), part, query, task=episode.task)

    # Inside --------------------------------------------------------------------------------------------------------

    def _loss(self, learned: Tensor, batch: Batch) -> Tensor:
        prompt = self.made(learned)
        if prompt.dim() == 2:
            return token_mean(self.backbone.loss(prompt, batch), batch)
        rows = len(batch) // len(prompt)
        losses = self.backbone.loss(prompt, batch)
        return losses.view(-1, rows).sum(1) / batch.target_lengths.view(-1, rows).sum(1)

    def _passes(self, episode: Episode) -> int:
        """Rows that an episode reads: a support batch at each inner step, and the query batch."""
        support = [len(batch) for batch in episode.support]
        return sum(support[k % len(support)] for k in range(self.algorithm.inner_steps)) + len(episode.query)

    def _learned(self) -> list[nn.Parameter]:
        return [self.prompt.weight, self.log_inner_lr] if self.learn_inner_lr else [self.prompt.weight]

    def _gradients(self, result: MetaGradient) -> list[Tensor]:
        total = result.gradient if result.gradient.dim() == 2 else result.gradient.sum(0)
        rate = self.inner_rate()
        if rate is None or result.rate_gradient is None:
            return [total]
        return [total, (result.rate_gradient * rate).squeeze(-1)]  # by the chain rule, of the logarithm

    def _trouble(self, result: MetaGradient, tasks: list[str]) -> str | None:
        """What is wrong with the first bad episode, as a sentence."""
        numbers = {
            "support loss": result.support_loss,
            "query loss": result.query_loss,
            "meta-gradient": result.gradient.norm(dim=(-2, -1)),
        }
        return self._ran_away(result.adapted, tasks, numbers)

    def _ran_away(self, adapted: Tensor, tasks: list[str], numbers: dict[str, Tensor]) -> str | None:
        before, after = self.made(self.prompt.weight).detach(), self.made(adapted).detach()
        found = first_exploded_episode(before, after, self._ordinary_norm, tasks, numbers)
        if found is None:
            return None
        (task, seen), rate = found, self.inner_rate()
        used = self.algorithm.inner_lr if rate is None else float(rate.mean())
        return (
            f"the inner loop on task {task} exploded at step {self.trainer.global_step}: {seen}, at inner rate "
            f"{used:g} and {self.algorithm.inner_steps} inner steps; lower model.algorithm.inner_lr, or "
            f"model.optimizer.lr if the losses were rising before.{KEPT if self.trainer.global_step else ''}"
        )

    def _log_losses(self, results: list[MetaGradient]) -> None:
        def mean(values: list[Tensor]) -> Tensor:
            return torch.cat([value.reshape(-1) for value in values]).mean()

        count = sum(result.query_loss.numel() for result in results)
        self.log("train/support_loss", mean([result.support_loss for result in results]), batch_size=count)
        self.log("train/query_loss", mean([result.query_loss for result in results]), batch_size=count, prog_bar=True)
        # Only where it is written down: it costs a forward pass of each episode.
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.fit_loop.epoch_loop.total_batch_idx + 1) % every == 0:
            after = mean([result.support_loss_after() for result in results])
            self.log("train/support_loss_after", after, batch_size=count)
            rate = self.inner_rate()
            if rate is not None:
                self.log("train/inner_lr", rate.mean(), batch_size=count)

    def scores(self) -> dict[str, float]:
        stop_together(self._exploded, self.device)
        tasks = getattr(self._data, "validation_tasks", {})
        scores = {}
        for name, task in tasks.items():
            if rows := [row for row in self.outputs if row.task == name]:
                scores[name] = score_predictions(task.metric, rows, self.backbone.pieces)
        return {**scores, "score": sum(scores.values()) / len(scores)} if scores else {}
