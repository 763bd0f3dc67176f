"""Base of the baselines that learn small changes of a frozen backbone's layers, by PEFT."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import torch

from mpt.backbone.model import FrozenBackbone
from mpt.learn.example_learner import ExampleLearner
from mpt.util.errors import UserError, one_line
from mpt.util.files import new_folder
from mpt.util.reading import read_json

_WEIGHTS = "adapter_model.safetensors"


class Adapter(ExampleLearner):
    """Learns changes of a frozen backbone's layers, without a prompt; what is learned is a folder that PEFT loads.

    A change begins as nothing, so that with ``trainer.max_steps 0`` the backbone itself is tested: zero-shot.
    """

    @abstractmethod
    def peft_config(self, peft: Any, **common: Any) -> Any:
        """PEFT's configuration of the change.

        Args:
            peft: the library.
            common: what each of its configurations takes.
        """

    def build(self, labels: tuple[str, ...]) -> None:
        name = type(self).__name__
        try:
            import peft
        except ImportError:
            raise UserError(f"{name} needs peft: pip install 'meta-prompt-tuning[peft]'") from None
        self.backbone = FrozenBackbone(self.backbone_name, self.backbone_options)
        self.backbone.check_lengths(0)
        layers = [f".{layer}" for layer, _ in self.backbone.model.named_modules()]
        for part in getattr(self, "target_modules", None) or ():  # PEFT is content if one of several is found
            if not any(layer.endswith(f".{part}") for layer in layers):
                raise UserError(
                    f"model.target_modules: no layer of {self.backbone_name} has a name that ends in {part}"
                )
        kind = "CAUSAL_LM" if self.backbone.decoder_only else "SEQ_2_SEQ_LM"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            try:
                config = self.peft_config(peft, task_type=kind, base_model_name_or_path=self.backbone_name)
                adapted = peft.get_peft_model(self.backbone.model, config)
            except ValueError as error:  # no layer of that name, or none known for the architecture
                raise UserError(f"model.target_modules: {one_line(error)}") from error
        if all("embedding" in part for part, weight in adapted.named_parameters() if weight.requires_grad):
            raise UserError(
                "model.target_modules: only embeddings are changed, which are read before; name other layers"
            )
        self._adapted = (adapted,)  # the backbone's own layers, which Lightning must not meet twice

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        with new_folder(folder) as fresh:
            self._adapted[0].save_pretrained(str(fresh))

    def load_learned(self, folder: Path) -> None:
        import peft
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path, name = folder / _WEIGHTS, type(self).__name__
        if not path.is_file():
            raise UserError(f"{folder}: {_WEIGHTS} is missing; a run of {name} leaves it in its folder adapter")
        try:
            weights = load_file(path)
        except SafetensorError as error:
            raise UserError(f"{path} does not fit {self.shape}, or is damaged: {one_line(error)}") from error
        theirs, ours = read_json(folder / "adapter_config.json"), self._adapted[0].peft_config["default"].to_dict()
        for part in ("peft_type", "lora_alpha", "target_modules", "feedforward_modules"):
            learned, given = (_plain(config.get(part)) for config in (theirs, ours))
            if learned != given:
                raise UserError(f"{folder} was learned with {part} {learned}, not {given}; give what it had")
        try:
            found: Any = peft.set_peft_model_state_dict(self._adapted[0], weights)
        except RuntimeError as error:
            raise UserError(f"{path} does not fit {self.shape}, or is damaged: {one_line(error)}") from error
        if found.unexpected_keys:
            raise UserError(f"{path} changes {found.unexpected_keys[0]}, which {self.backbone_name} does not have")

    @property
    def shape(self) -> str:
        """What a folder's weights must fit, in words."""
        return type(self).__name__


def _plain(value: Any) -> Any:
    """As in a file: PEFT holds names of layers as a set."""
    return sorted(value) if isinstance(value, set | list) else getattr(value, "value", value)
