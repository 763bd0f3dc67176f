"""Base of the learners of one soft prompt: a frozen backbone, the prompt's start, its folder."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.memory import refuse_too_large
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.learn.answering import Answering
from mpt.learn.learner import Learner
from mpt.learn.optimizers import PromptAdafactor
from mpt.library.card import prompt_card
from mpt.library.retrieved import Retrieved
from mpt.prompt.files import backbone_facts, check_fits, load_prompt, save_prompt
from mpt.prompt.initialisers import InitContext, Initialiser, SampledVocabulary, SavedPrompt
from mpt.prompt.reparameterisation import Reparameterisation
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError


class PromptLearner(Learner):
    """Base of the learners of one soft prompt on a frozen backbone.

    Args:
        backbone: hub name, local folder, or ``mpt-tiny``.
        prompt_length: number of prompt rows, P (Lester et al.: 100).
        init: where the prompt starts.
        optimizer: how it is learned.
        lr_scheduler: optional schedule, stepped every optimiser step.
        backbone_options: how the backbone is loaded and how much it reads.
        answers: what is judged: what the model writes, or the likeliest label.
        reparameterisation: what is learned in the prompt's place, if anything is.
    """

    backbone: FrozenBackbone

    def __init__(
        self,
        backbone: str = "mpt-tiny",
        prompt_length: int = 100,
        init: Initialiser = SampledVocabulary(),  # noqa: B008 (immutable)
        optimizer: OptimizerCallable = PromptAdafactor,
        lr_scheduler: LRSchedulerCallable | None = None,
        backbone_options: BackboneOptions = BackboneOptions(),  # noqa: B008 (immutable)
        answers: Answering = "written",
        reparameterisation: Reparameterisation | None = None,
    ) -> None:
        super().__init__(backbone, optimizer, lr_scheduler, backbone_options, answers)
        if prompt_length < 1:
            raise UserError(f"model.prompt_length must be at least 1, not {prompt_length}")
        self.prompt_length, self.init, self.reparameterisation = prompt_length, init, reparameterisation

    def build(self, labels: tuple[str, ...]) -> None:
        self.build_on(FrozenBackbone(self.backbone_name, self.backbone_options), labels)

    def build_on(self, backbone: FrozenBackbone, labels: tuple[str, ...]) -> None:
        """:meth:`build` on a backbone that is loaded, and perhaps shared."""
        self.backbone = backbone
        self.backbone.check_lengths(self.prompt_length)
        refuse_too_large(self.backbone, self.prompt_length)
        vocabulary = InitContext.of(backbone, self.seed, labels, self.tasks, self.demonstrations)
        start = self.init(self.learned_rows, vocabulary)
        if start.dim() != 2 and not (self.reparameterisation and self.reparameterisation.takes_several):
            takers = [kind.__name__ for kind in Reparameterisation.__subclasses__() if kind.takes_several]
            raise UserError(
                f"init {type(self.init).__name__} gives {len(start)} prompts: give a --model.reparameterisation that "
                f"takes several ({', '.join(takers)})"
            )
        if self.reparameterisation is not None:
            start = self.reparameterisation.start(start, vocabulary)
        self.prompt = SoftPrompt(start)

    def made(self, learned: Tensor) -> Tensor:
        """The prompt that something learned makes; itself, unless there is a reparameterisation."""
        return learned if self.reparameterisation is None else self.reparameterisation(learned)

    @property
    def learned_rows(self) -> int:
        """Rows of what is learned; as many as are read, where that is one prompt."""
        return self.prompt_length

    @property
    def whole(self) -> Tensor:
        """The prompt that is stored and read, ``[P, H]``: all that is learned, and what stands before it."""
        return self.made(self.prompt())

    def prompt_for(self, batch: TextBatch) -> Tensor:
        return self.whole

    def save_learned(self, folder: Path, facts: dict[str, Any]) -> None:
        known = {"fingerprint": self.backbone.fingerprint, "init": type(self.init).__name__, "seed": self.seed}
        if self.reparameterisation is not None:
            known |= self.reparameterisation.facts(self.prompt().detach())
        facts = known | self.backbone.options.remembered | backbone_facts(self.backbone.config) | facts
        save_prompt(folder, self.whole, self.backbone_name, self.backbone.decoder_only, facts, prompt_card)

    def identity(self, data: Any) -> dict[str, Any]:
        # The weights decide, not what they are called.
        known = {name: value for name, value in super().identity(data).items() if name != "backbone"}
        known |= {"weights": self.backbone.fingerprint, "prompt length": self.prompt_length}
        return known if (fixed := self.fixed) is None else {**known, "fixed rows": _digest(fixed)}

    @property
    def fixed(self) -> Tensor | None:
        """What the prompt is made of beside what is learned; no checkpoint holds it."""
        return None if self.reparameterisation is None else self.reparameterisation.fixed

    def load_learned(self, folder: Path) -> None:
        stored = load_prompt(folder)
        check_fits(stored, folder, self.backbone.hidden_size, self.backbone_name, self.backbone.fingerprint)
        chats = self.backbone.options.chat_template
        if stored.facts.get("chat_template", False) != chats:
            way = "leave out" if chats else "give"
            raise UserError(
                f"prompt {folder} was learned {'without' if chats else 'behind'} a chat template: {way} "
                "--model.backbone_options.chat_template true"
            )
        if stored.weight.shape != self.whole.shape:
            raise UserError(
                f"prompt {folder} is {list(stored.weight.shape)}, but prompt_length is {self.prompt_length}: "
                "give the configuration it was trained with"
            )
        if self.reparameterisation is not None:  # whose work is done
            self.reparameterisation = None
            self.prompt = SoftPrompt(stored.weight).to(self.device)
        with torch.no_grad():
            self.prompt.weight.copy_(stored.weight[-len(self.prompt.weight) :])

    @property
    def starts_learned(self) -> bool:
        return isinstance(self.init, SavedPrompt | Retrieved)


def _digest(value: Tensor) -> str:
    numbers = value.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(numbers.tobytes()).hexdigest()[:16]
