"""Every metric by its name: CrossFit's seven and SP-ROUGE, which cuts texts into a tokenizer's pieces."""

from __future__ import annotations

from mpt.metrics import crossfit
from mpt.metrics.crossfit import Predictions, References
from mpt.metrics.generation import Tokenize, sp_rouge
from mpt.util.errors import UserError

SP_ROUGE = "SP-ROUGE"
METRICS = (*crossfit.METRICS, SP_ROUGE)


def score(metric: str, predictions: Predictions, references: References, pieces: Tokenize | None = None) -> float:
    """The metric of that name, see :func:`mpt.metrics.crossfit.score`.

    Args:
        pieces: how SP-ROUGE cuts a text: by the backbone's tokenizer.

    Raises:
        UserError: SP-ROUGE is asked for where there is no tokenizer, or its package is not installed.
        ValueError: an unknown metric, no predictions, or predictions and references that do not match.
    """
    if metric != SP_ROUGE:
        return crossfit.score(metric, predictions, references)
    if pieces is None:
        raise UserError(f"{SP_ROUGE} cuts texts by a backbone's tokenizer, and there is none; take Rouge-L")
    return sp_rouge(predictions, references, pieces)


def is_right(metric: str, text: str, gold: str) -> bool:
    """Whether a text is as good as a gold answer, see :func:`mpt.metrics.crossfit.is_right`."""
    return text.strip() == gold.strip() if metric == SP_ROUGE else crossfit.is_right(metric, text, gold)
