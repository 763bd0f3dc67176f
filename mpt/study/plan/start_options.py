"""How a downstream run starts from what an upstream one learned: from its prompt, or from its whole model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from mpt.util.errors import UserError

_WHOLE = ("FineTuning", "LanguageModeling")
"""Learners of every weight, whose downstream runs start from their model."""

# A study asks the same of two configs for thousands of runs: each is parsed once.


def start_options(folder: str, upstream: str, downstream: str, where: str) -> dict[str, str]:
    """The options of a downstream run by their dotted names.

    Args:
        folder: of the upstream run.
        upstream: text of the upstream stage's config.
        downstream: likewise.
        where: what to name in a complaint.

    Raises:
        UserError: one of the stages learns every weight and the other a prompt.
    """
    first, then = _learner(upstream), _learner(downstream)
    if (first in _WHOLE) != (then in _WHOLE):
        raise UserError(
            f"{where}: upstream learns by {first or 'an unknown class'} and downstream by {then or 'an unknown class'}"
            ", but both must learn a prompt (prompt_tuning, spot) or both the whole model (fine_tuning, "
            "fine_tuning_mixture)"
        )
    if then in _WHOLE:
        return {"model.start": f"{folder}/{_kept(upstream)}"}
    return {"model.init": "mpt.prompt.initialisers.SavedPrompt", "model.init.path": f"{folder}/prompt"}


@cache
def _learner(text: str) -> str:
    """The name of a config's learner, without its module; empty if it names none."""
    content = yaml.safe_load(text)
    model = content.get("model") if isinstance(content, Mapping) else None
    return str(model.get("class_path") or "").rpartition(".")[2] if isinstance(model, Mapping) else ""


@cache
def _kept(text: str) -> str:
    """The folder in which a config keeps what it learned."""
    callbacks: Any = (yaml.safe_load(text).get("trainer") or {}).get("callbacks") or []
    for part in callbacks:
        if isinstance(part, Mapping) and str(part.get("class_path")).rpartition(".")[2] == "KeepBest":
            return str((part.get("init_args") or {}).get("folder", "prompt"))
    return "model"
