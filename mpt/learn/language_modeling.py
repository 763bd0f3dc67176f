"""Language modelling: every weight of a backbone, by text-to-text pairs."""

from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn
from transformers.activations import ACT2FN

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone
from mpt.backbone.quantized import refuse_rounded
from mpt.learn.fine_tuning import FineTuning
from mpt.learn.optimizers import PromptAdafactor
from mpt.util.errors import UserError
from mpt.util.names import nearest


class LanguageModeling(FineTuning):
    """Pre-trains a backbone from random weights, or goes on training one (LM adaptation, Lester et al. 2021).

    What is predicted is the data's affair: span corruption, prefix-LM or supervised text-to-text pairs
    (:mod:`mpt.data.modules.corpus`).

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        from_scratch: start from random weights; the folder then needs only configuration and tokenizer. A mapping
            makes a model of other sizes: whole numbers of the configuration, as ``{d_model: 48, d_ff: 128, d_kv: 12}``.
        positional_heads: from scratch and for T5 only: how strongly, at the start, the encoder's first three
            heads look one token back, one ahead, and away from themselves (logits added to the relative
            position bias). Without it a small model needs very long to find "what stands behind this word".
            0 leaves T5's own start.
        activation: for T5 only: activation of the feed-forward layers in place of the checkpoint's, whose weights
            stay (gelu_pytorch_tanh: smooth, T5 1.1's gelu_new in one kernel).
        embedding_rate: factor on the learning rate of the input embeddings, which T5 starts about ten times
            as large as the other weights.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        from_scratch: bool | dict[str, int] = False,
        positional_heads: float = 0.0,
        activation: str | None = None,
        embedding_rate: float = 1.0,
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
    ) -> None:
        super().__init__(backbone, optimizer, lr_scheduler, backbone_options)
        self.sizes = {} if from_scratch is True else from_scratch if isinstance(from_scratch, dict) else None
        if positional_heads and self.sizes is None:
            raise UserError(
                "model.positional_heads changes how a model starts: it needs model.from_scratch true, or sizes there"
            )
        self.positional_heads = positional_heads
        self.activation = activation
        self.embedding_rate = embedding_rate

    def build(self, labels: tuple[str, ...]) -> None:
        # The same first weights whatever was drawn before.
        torch.manual_seed(self.seed)
        refuse_rounded(self.backbone_options.quantization, self.backbone_options.dtype, "LanguageModeling")
        self.backbone = Backbone(self.backbone_name, self.backbone_options, new=self.sizes)
        self.backbone.check_lengths(0)
        if self.positional_heads:
            add_positional_heads(self.backbone.model, self.positional_heads)
        if self.activation:
            change_activation(self.backbone.model, self.activation)

    def parameter_groups(self) -> Iterable[Any]:
        table = self.backbone.model.get_input_embeddings().weight
        rest = [p for p in self.parameters() if p.requires_grad and p is not table]
        return [{"params": rest}, {"params": [table]}]

    def make_optimizer(self) -> torch.optim.Optimizer:
        optimizer = super().make_optimizer()
        optimizer.param_groups[1]["lr"] *= self.embedding_rate
        return optimizer


def add_positional_heads(model: nn.Module, strength: float) -> None:
    """Let a T5 encoder's first three heads look one token back, one ahead, and away from themselves.

    Changes the relative position bias ``[buckets, heads]`` of those offsets by ``strength``.

    Raises:
        UserError: the model has no such bias, or fewer than three heads.
    """
    try:
        bias = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # type: ignore[union-attr, index]
    except (AttributeError, TypeError):
        bias = None
    if bias is None or bias.shape[1] < 3 or bias.shape[0] < 4:
        raise UserError("model.positional_heads needs a T5 with three heads and four buckets or more")
    with torch.no_grad():
        # The encoder's buckets are two halves: offsets back (0, -1, ...) and offsets ahead (0, 1, ...).
        bias[1, 0] += strength
        bias[bias.shape[0] // 2 + 1, 1] += strength
        bias[0, 2] -= strength


def change_activation(model: nn.Module, activation: str) -> None:
    """Give a T5's feed-forward layers another activation; the weights stay as they are.

    Raises:
        UserError: the model is no T5, its layers are gated, or transformers knows no such activation.
    """
    config: Any = model.config
    if config.model_type != "t5" or config.is_gated_act:
        raise UserError("model.activation needs a T5 whose feed-forward layers are not gated")
    if activation not in ACT2FN:
        raise UserError(f"model.activation: there is no activation {activation!r}; {nearest(activation, list(ACT2FN))}")
    config.feed_forward_proj = config.dense_act_fn = activation
    for layer in model.modules():
        if hasattr(layer, "wi") and hasattr(layer, "act"):
            layer.act = ACT2FN[activation]
