"""Soft prompts on a frozen language model: prompt tuning, SPoT, meta prompt tuning.

A prompt learned and used in ten lines:

>>> import mpt, torch
>>> backbone = mpt.FrozenBackbone("mpt-tiny", mpt.BackboneOptions(max_input_length=32, max_target_length=4))
>>> batch = backbone.encode(["a fine film", "a dull film"], ["good", "bad"])
>>> prompt = torch.nn.Parameter(backbone.embeddings[:8].clone())
>>> optimizer = torch.optim.Adam([prompt], lr=0.05)
>>> for _ in range(60):
...     optimizer.zero_grad()
...     backbone.loss(prompt, batch).mean().backward()
...     _ = optimizer.step()
>>> backbone.answer(prompt, backbone.encode(["a fine film", "a dull film"])).texts
['good', 'bad']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpt.adapt.in_python import adapt_examples as adapt
    from mpt.backbone.loading import BackboneOptions
    from mpt.backbone.model import FrozenBackbone
    from mpt.data.modules.episodes import EpisodeData
    from mpt.data.modules.few_shot import FewShotData
    from mpt.data.modules.mixture import MixtureData
    from mpt.learn import MetaPromptTuning, PromptTuning
    from mpt.library.library import Library
    from mpt.prompt.files import save_prompt
    from mpt.study.run.results import study_results
    from mpt.use.answers.in_python import load_prompt
    from mpt.use.answers.predictor import Predictor

    __version__: str

_HOME = {
    "adapt": "mpt.adapt",
    "BackboneOptions": "mpt.backbone.loading",
    "EpisodeData": "mpt.data.modules.episodes",
    "FewShotData": "mpt.data.modules.few_shot",
    "FrozenBackbone": "mpt.backbone.model",
    "Library": "mpt.library.library",
    "MetaPromptTuning": "mpt.learn",
    "MixtureData": "mpt.data.modules.mixture",
    "Predictor": "mpt.use.answers.predictor",
    "PromptTuning": "mpt.learn",
    "load_prompt": "mpt.use.answers.in_python",
    "save_prompt": "mpt.prompt.files",
    "study_results": "mpt.study.run.results",
}
"""Module of each name that the package offers; imported when it is asked for, as torch takes seconds."""

__all__ = [
    "BackboneOptions",
    "EpisodeData",
    "FewShotData",
    "FrozenBackbone",
    "Library",
    "MetaPromptTuning",
    "MixtureData",
    "Predictor",
    "PromptTuning",
    "adapt",
    "load_prompt",
    "save_prompt",
    "study_results",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        from mpt.util.distribution import DISTRIBUTION

        return version(DISTRIBUTION)
    if name not in _HOME:
        raise AttributeError(f"module 'mpt' has no attribute {name!r}")
    home = import_module(_HOME[name])
    return getattr(home, name, home)  # a module that may be called is its own name


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, "__version__"])
