"""Who learns: LightningModules over one backbone."""

from mpt.learn.factorised import FactorisedPromptTuning
from mpt.learn.fine_tuning import FineTuning
from mpt.learn.ia3 import IA3
from mpt.learn.learner import Learner
from mpt.learn.lora import LoRA
from mpt.learn.meta_prompt_tuning import MetaPromptTuning
from mpt.learn.multitask import MultitaskPromptTuning
from mpt.learn.optimizers import PromptAdafactor
from mpt.learn.prompt_tuning import PromptTuning
from mpt.learn.sub_prompt import SubPromptTuning

__all__ = [
    "IA3",
    "FactorisedPromptTuning",
    "FineTuning",
    "Learner",
    "LoRA",
    "MetaPromptTuning",
    "MultitaskPromptTuning",
    "PromptAdafactor",
    "PromptTuning",
    "SubPromptTuning",
]
