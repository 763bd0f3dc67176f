"""What a text that was written in some language is worth: SP-ROUGE, the language it is in, its share of ASCII.

The measures of Vu et al. (2022), "Overcoming Catastrophic Forgetting in Zero-Shot Cross-Lingual Generation", as pure
functions. What their sources leave open is an argument here: which ROUGE, and from how many bytes a language is named.
ROUGE is rouge-score's, the detector CLD3 (packages ``rouge-score`` and ``cld3-py``; the extra ``xgen``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

import numpy as np

from mpt.metrics.crossfit import Predictions, References, paired
from mpt.util.distribution import install
from mpt.util.errors import UserError

Tokenize = Callable[[str], Sequence[str]]
"""A text's pieces: of a SentencePiece model, or of the backbone's own tokenizer."""
RougeKind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]

_MOST_BYTES = 10_000
"""Of a text, that CLD3 looks at."""


@dataclass(frozen=True)
class _Pieces:
    """A tokenizer as rouge-score wants one."""

    tokenize: Tokenize


def sp_rouge(
    predictions: Predictions, references: References, tokenize: Tokenize, kind: RougeKind = "rougeLsum"
) -> float:
    """SP-ROUGE: mean F1 of ROUGE over the pieces of ``tokenize``, the best over the gold answers.

    rouge-score's own tokenizer knows ``[a-z0-9]`` alone, so that of two equal Thai texts it sees nothing: they score 0
    by it, and 1 here. There is no stemming. Sentences, of which ``rougeLsum`` takes the union of longest common
    subsequences, end at a line's end or at `` . ``, as in the authors' evaluation.

    Raises:
        ValueError: no predictions, or predictions and references that do not match.

    >>> sp_rouge(["สวัสดี ครับ"], [["สวัสดี ครับ"]], str.split)
    1.0
    >>> sp_rouge(["a b"], [["a c"]], str.split)
    0.5
    """
    scorer = _needs("rouge_score.rouge_scorer", "rouge-score").RougeScorer([kind], tokenizer=_Pieces(tokenize))

    def f1(text: str, gold: str) -> float:
        return float(scorer.score(_sentences(gold), _sentences(text))[kind].fmeasure)

    pairs = paired(predictions, references)
    return float(np.mean([max(f1(text, gold) for gold in golds) for text, golds in pairs]))


def _sentences(text: str) -> str:
    return text.replace(" . ", " .\n")


def language_confidence(predictions: Predictions, language: str, least_bytes: int = 0) -> float:
    """LID_lang: CLD3's mean confidence that a text is in a language.

    CLD3 names one language for a text: its confidence counts where that is the language asked for, else 0 does. Texts
    without a letter are left out, for which it would say Japanese; if all are, the mean is 0 (see :func:`empty_share`).

    Args:
        language: by CLD3's code, such as ``en``, ``th``, ``zh``.
        least_bytes: a shorter text is in no language. The published measure may have had 100, at which most short
            answers are in none; CLD3 itself needs no minimum.

    >>> round(language_confidence(["Это очень большой город на реке", ""], "ru"), 1)
    1.0
    """
    found = [named(text, least_bytes) for text in predictions if _has_letter(text)]
    return float(np.mean([sure if code == language else 0.0 for code, sure in found])) if found else 0.0


def named(text: str, least_bytes: int = 0) -> tuple[str, float]:
    """The language that CLD3 names for a text, ``und`` for none, and its confidence in [0, 1]."""
    if not _has_letter(text) or len(text.encode()) < least_bytes:
        return "und", 0.0
    found = _detector().FindLanguage(text=text)
    return found.language, float(found.probability)


@cache
def _detector() -> Any:
    return _needs("gcld3", "cld3-py").NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=_MOST_BYTES)


def ascii_share(predictions: Predictions) -> float:
    """ASCII: the mean share of a text's characters that are ASCII. Texts without a letter are left out; 0 if all are.

    >>> ascii_share(["abc", "สว", "aส", ""])
    0.5
    """
    shares = [sum(map(str.isascii, text)) / len(text) for text in predictions if _has_letter(text)]
    return float(np.mean(shares)) if shares else 0.0


def empty_share(predictions: Predictions) -> float:
    """The share of texts without a letter, which the other measures leave out.

    >>> empty_share(["a", " ", "3.", "ก"])
    0.5
    """
    return float(np.mean([not _has_letter(text) for text in predictions]))


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _needs(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"this measure needs the package {package}: {install('xgen')}") from error
