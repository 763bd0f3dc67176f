"""Full fine-tuning: the baseline that changes every weight."""

from pathlib import Path
from typing import Any

from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from safetensors import SafetensorError
from safetensors.torch import load_model

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone
from mpt.backbone.quantized import refuse_rounded
from mpt.backbone.saving import save_backbone
from mpt.learn.answering import Answering
from mpt.learn.example_learner import ExampleLearner
from mpt.learn.optimizers import PromptAdafactor
from mpt.util.errors import UserError


class FineTuning(ExampleLearner):
    """Tunes all weights of a backbone, without a prompt (the FT row of Qin et al. 2023, table 2).

    On a mixture of source tasks and then, from that ``start``, on a target it is multi-task model tuning (Vu et al.
    2022, section 2.2).

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        start: folder ``model`` of another run's folder, of the same backbone, whose weights it starts from; the
            backbone's own if not given.
        answers: what is judged: what the model writes, or the likeliest label.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        start: str | None = None,
        answers: Answering = "written",
    ) -> None:
        super().__init__(backbone, optimizer, lr_scheduler, backbone_options, answers)
        self.start = start

    def build(self, labels: tuple[str, ...]) -> None:
        refuse_rounded(self.backbone_options.quantization, self.backbone_options.dtype, "FineTuning")
        self.backbone = Backbone(self.backbone_name, self.backbone_options)
        self.backbone.check_lengths(0)
        if self.start is not None:
            self.load_learned(Path(self.start))

    @property
    def starts_learned(self) -> bool:
        return self.start is not None

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        save_backbone(folder, self.backbone.model, self.backbone.tokenizer)

    def load_learned(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        if not path.is_file():
            raise UserError(
                f"{folder}: model.safetensors is missing; a run of fine-tuning leaves it in its folder model"
            )
        other = f"{path} does not hold the weights of {self.backbone_name}, or is damaged"
        try:
            missing, unexpected = load_model(self.backbone.model, path, strict=False)
        except (RuntimeError, SafetensorError) as error:  # other shapes, half a file
            raise UserError(f"{other}: {' '.join(str(error).split())[:200]}") from error
        if missing or unexpected:
            raise UserError(f"{other}: {[*missing, *unexpected][0]} is in one of them alone")
