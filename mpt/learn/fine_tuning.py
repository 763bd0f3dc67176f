"""Full fine-tuning: the baseline that changes every weight."""

from pathlib import Path
from typing import Any

from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from safetensors.torch import load_model

from mpt.backbone import Backbone
from mpt.errors import UserError
from mpt.learn.learner import Learner
from mpt.learn.optimizers import PromptAdafactor
from mpt.loading import BackboneOptions, save_backbone


class FineTuning(Learner):
    """Tunes all weights of a backbone, without a prompt (the FT row of Qin et al. 2023, table 2).

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
    ) -> None:
        super().__init__()
        self.backbone_name = backbone
        self.backbone_options = backbone_options
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler

    def build(self, labels: tuple[str, ...]) -> None:
        self.backbone = Backbone(self.backbone_name, self.backbone_options)
        self.backbone.check_lengths(0)

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        save_backbone(folder, self.backbone.model, self.backbone.tokenizer)

    def load_learned(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        if not path.is_file():
            raise UserError(f"{folder}: model.safetensors is missing")
        load_model(self.backbone.model, path, strict=False)
