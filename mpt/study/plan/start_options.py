"""How a downstream run starts from what an upstream one learned: from its prompt, or from its whole model."""

from __future__ import annotations

from mpt.fit.resolve import ResolvedRun
from mpt.util.errors import UserError

_WHOLE = ("FineTuning", "LanguageModeling")
"""Learners of every weight, whose downstream runs start from their model."""


def start_options(folder: str, upstream: ResolvedRun, downstream: ResolvedRun, where: str) -> dict[str, str]:
    """The options of a downstream run by their dotted names.

    Args:
        folder: of the upstream run.
        where: what to name in a complaint.

    Raises:
        UserError: one of the stages learns every weight and the other a prompt.
    """
    first, then = upstream.class_name("model"), downstream.class_name("model")
    if (first in _WHOLE) != (then in _WHOLE):
        raise UserError(
            f"{where}: upstream learns by {first or 'an unknown class'} and downstream by {then or 'an unknown class'}"
            ", but both must learn a prompt (prompt_tuning, spot) or both the whole model (fine_tuning, "
            "fine_tuning_mixture)"
        )
    if then in _WHOLE:
        keeper = upstream.callback("KeepBest")
        return {"model.start": f"{folder}/{keeper['callback.folder'] if keeper else 'model'}"}
    return {"model.init": "mpt.prompt.initialisers.SavedPrompt", "model.init.path": f"{folder}/prompt"}
