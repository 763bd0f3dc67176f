"""What every meta-learning algorithm of a prompt is: support and query batches in, a meta-gradient out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from mpt.backbone.encoding import Batch
from mpt.backbone.model import Backbone
from mpt.learn.meta.inner_loop import InnerStep, Objective, descend, loss_after
from mpt.util.errors import UserError


@dataclass(frozen=True)
class MetaGradient:
    """What an episode says about the prompt it started from.

    Attributes:
        gradient: what the outer optimiser descends, ``[P, H]``.
        adapted: the prompt after the inner steps, ``[P, H]``.
        support_loss: before the first inner step, on its support batch; a scalar.
        query_loss: at the adapted prompt; a scalar.
        support_loss_after: the support loss at the adapted prompt, under the dropout mask of the first step.
            One more forward pass, so it is taken only when it is asked for.
        rate_gradient: gradient of the inner rates where they are learned, in the shape they were given in.
    """

    gradient: Tensor
    adapted: Tensor
    support_loss: Tensor
    query_loss: Tensor
    support_loss_after: Callable[[], Tensor]
    rate_gradient: Tensor | None = None

    @classmethod
    def of(
        cls,
        gradient: Tensor,
        query_loss: Tensor,
        adapted: Tensor,
        first: InnerStep,
        loss: Objective,
        rate_gradient: Tensor | None = None,
    ) -> MetaGradient:
        """From an inner loop's first step and its end."""
        adapted, batch, state = adapted.detach(), first.batch, first.state  # what is kept must not keep a graph
        return cls(
            gradient=gradient.detach(),
            adapted=adapted,
            support_loss=first.loss.detach(),
            query_loss=query_loss.detach(),
            support_loss_after=lambda: loss_after(loss, adapted, batch, state),
            rate_gradient=None if rate_gradient is None else rate_gradient.detach(),
        )


class MetaAlgorithm(ABC):
    """Base of the meta-learning algorithms: how they adapt; subclasses say what gradient the start gets.

    Args:
        inner_lr: inner learning rate, alpha in equation 2 of Qin et al. (2023).
        inner_steps: gradient steps on the support set, K.

    Raises:
        UserError: if the rate is not above zero or there is no step.
    """

    learns_rates = False
    """Whether inner rates can be learned along (Meta-SGD)."""

    needs_double_backward = False
    """Whether it differentiates the model twice, which fused attention kernels cannot."""

    batches_episodes = True
    """Whether it takes the episodes of several prompts ``[M, P, H]`` at once."""

    def __init__(self, inner_lr: float = 3e-5, inner_steps: int = 1) -> None:
        if not inner_lr > 0:
            raise UserError(f"model.algorithm.inner_lr must be above 0, not {inner_lr}")
        if inner_steps < 1:
            raise UserError(f"model.algorithm.inner_steps must be at least 1, not {inner_steps}")
        self.inner_lr = inner_lr
        self.inner_steps = inner_steps

    @abstractmethod
    def __call__(
        self, loss: Objective, prompt: Tensor, support: Sequence[Batch], query: Batch, rate: Tensor | None = None
    ) -> MetaGradient:
        """The meta-gradient of one episode.

        Args:
            loss: of a prompt on a batch, a scalar; it may draw dropout masks from torch's generators.
            prompt: where the episode starts, ``[P, H]``; it is not changed. M episodes may go side by side: then
                prompts are ``[M, P, H]``, each batch holds the rows of all, losses are ``[M]``, and so are results.
            support: one or more support batches; inner step k uses number k modulo their count.
            query: the query batch.
            rate: inner rates in place of ``inner_lr``, a scalar or ``[P, 1]``, if they are learned.
        """

    def adapt(
        self,
        loss: Objective,
        prompt: Tensor,
        support: Sequence[Batch],
        rate: Tensor | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """The prompt after ``steps`` (``inner_steps``) gradient steps on the support batches, ``[P, H]``, detached."""
        return descend(loss, prompt, support, self.resolve_rate(rate), steps or self.inner_steps)[1]

    def warn_of_kinks(self, where: str) -> None:  # noqa: B027 (most have nothing to say)
        """Tell what they do to the gradient, if anything, where the loss has kinks in the prompt."""

    def check_backbone(self, backbone: Backbone) -> None:
        """Refuse a model whose loss it cannot differentiate as it needs to, before anything is learned.

        Raises:
            UserError: naming the option to change.
        """
        attention = str(backbone.options.attention)
        if self.needs_double_backward and attention.startswith("flash"):
            raise UserError(
                f"{self!r} differentiates the model twice, which {attention} cannot; "
                "set backbone_options.attention to sdpa, or hessian to finite_difference"
            )

    def resolve_rate(self, learned: Tensor | None) -> Tensor | float:
        """The inner rates to use."""
        return self.inner_lr if learned is None else learned.detach()

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"
