"""LoRA: the baseline that learns small changes of a frozen backbone's matrices."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.learn.answering import Answering
from mpt.learn.example_learner import ExampleLearner
from mpt.util.errors import UserError, one_line
from mpt.util.files import new_folder

_WEIGHTS = "adapter_model.safetensors"


class LoRA(ExampleLearner):
    """Learns low-rank changes of a frozen backbone's linear layers, without a prompt (Hu et al. 2022), by PEFT.

    A change begins as nothing, so that with ``trainer.max_steps 0`` the backbone itself is tested: zero-shot. What is
    learned is a folder that PEFT loads.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        rank: of each change, r.
        alpha: a change is multiplied by ``alpha / rank``.
        dropout: of what a change reads, in training.
        target_modules: names of the layers that are changed; PEFT's choice for the architecture if not given.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged: what the model writes, or the likeliest label.
    """

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        rank: int = 8,
        alpha: int = 16,
        dropout: float = 0.0,
        target_modules: list[str] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
    ) -> None:
        super().__init__(answers)
        if rank < 1:
            raise UserError(f"model.rank must be at least 1, not {rank}")
        if not 0 <= dropout < 1:
            raise UserError(f"model.dropout must be from 0 to below 1, not {dropout:g}")
        self.backbone_name = backbone
        self.rank, self.alpha, self.dropout, self.target_modules = rank, alpha, dropout, target_modules
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.backbone_options = backbone_options

    def build(self, labels: tuple[str, ...]) -> None:
        try:
            import peft
        except ImportError:
            raise UserError("LoRA needs peft: pip install 'meta-prompt-tuning[peft]'") from None
        self.backbone = FrozenBackbone(self.backbone_name, self.backbone_options)
        self.backbone.check_lengths(0)
        config = peft.LoraConfig(
            task_type="CAUSAL_LM" if self.backbone.decoder_only else "SEQ_2_SEQ_LM",
            base_model_name_or_path=self.backbone_name,
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.target_modules,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            try:
                adapted = peft.get_peft_model(self.backbone.model, config)
            except ValueError as error:  # no layer of that name, or none known for the architecture
                raise UserError(f"model.target_modules: {one_line(error)}") from error
        self._adapted = (adapted,)  # the backbone's own layers, which Lightning must not meet twice

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        with new_folder(folder) as fresh:
            self._adapted[0].save_pretrained(str(fresh))

    def load_learned(self, folder: Path) -> None:
        import peft
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = folder / _WEIGHTS
        if not path.is_file():
            raise UserError(f"{folder}: {_WEIGHTS} is missing; a run of LoRA leaves it in its folder adapter")
        try:
            weights = load_file(path)
            found: Any = peft.set_peft_model_state_dict(self._adapted[0], weights)
        except (RuntimeError, SafetensorError) as error:
            raise UserError(f"{path} does not fit model.rank {self.rank}, or is damaged: {one_line(error)}") from error
        if found.unexpected_keys:
            raise UserError(f"{path} changes {found.unexpected_keys[0]}, which {self.backbone_name} does not have")
