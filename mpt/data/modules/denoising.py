"""Language-modelling pairs made from plain text: span corruption (T5) and prefix-LM (Lester et al. 2021).

Both work on words and write T5's sentinels as text (``<extra_id_0>``), so this side knows no tokenizer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from mpt.util.stable_random import StableRandom

DenoisingObjective = Literal["prefix-lm", "span-corruption"]


def span_corruption(words: list[str], rng: StableRandom, share: float = 0.15, span: float = 2.0) -> tuple[str, str]:
    """Replace random spans by sentinels; the target lists what each sentinel stands for.

    Args:
        share: part of the words that is hidden (T5: 0.15).
        span: mean words per span (T5: 3 tokens).

    Shape of the pair: ``"a <extra_id_0> d"``, ``"<extra_id_0> b c <extra_id_1>"``. At least one word is
    hidden.
    """
    hidden = max(1, round(len(words) * share))
    spans = max(1, min(round(hidden / span), len(words) - hidden))
    # cut `hidden` words into spans, and the rest into the gaps around them
    sizes = _split(rng, hidden, spans)
    gaps = _split(rng, max(len(words) - hidden, spans), spans)
    source: list[str] = []
    target: list[str] = []
    at = 0
    for i, (gap, size) in enumerate(zip(gaps, sizes, strict=True)):
        source += [*words[at : at + gap], f"<extra_id_{i}>"]
        target += [f"<extra_id_{i}>", *words[at + gap : at + gap + size]]
        at += gap + size
    source += words[at:]
    return " ".join(source), " ".join([*target, f"<extra_id_{spans}>"])


def _split(rng: StableRandom, total: int, parts: int) -> list[int]:
    """``total`` as ``parts`` positive integers, every split equally likely."""
    cuts = sorted(rng.some(range(1, total), parts - 1)) if total > 1 else []
    edges = [0, *cuts, total]
    return [b - a for a, b in pairwise(edges)]


def prefix_lm(words: list[str], rng: StableRandom) -> tuple[str, str]:
    """Split a text at a random point: the first part is the input, the rest the target; neither is empty.

    Args:
        words: two or more.
    """
    at = 1 + rng.below(max(1, len(words) - 1))
    return " ".join(words[:at]), " ".join(words[at:])


OBJECTIVES = {"prefix-lm": prefix_lm, "span-corruption": span_corruption}
"""By name, from the words of a text to an input and a target."""
