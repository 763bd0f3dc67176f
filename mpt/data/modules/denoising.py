"""Language-modelling pairs made from plain text: span corruption (T5), prefix-LM (Lester et al. 2021) and their like.

All work on words and write T5's sentinels as text (``<extra_id_0>``), so this side knows no tokenizer. Factorised
prompts (Vu et al. 2022) learn seven such tasks in each language; what theirs do in detail is unpublished, and each is
here by the plain meaning of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import Literal

from mpt.util.stable_random import StableRandom

DenoisingObjective = Literal[
    "prefix-lm",
    "span-corruption",
    "iid-denoising",
    "language-model",
    "missing-prefix",
    "n-word-prefix",
    "missing-n-word-prefix",
]

_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese, which are written without spaces between words."""
_WORD = re.compile(rf"\s*(?:[{_NO_SPACES}]{{1,4}}|[^\s{_NO_SPACES}]+)")
_ALONE = re.compile(rf"[{_NO_SPACES}]")
_SENTINEL = "<extra_id_"


def words_of(text: str) -> list[str]:
    """What is between a text's spaces; where its language has none, up to four letters, with the space before them.

    >>> words_of("a big dog"), words_of("北京是中国的首都 yes")
    (['a', 'big', 'dog'], ['北京是中', '国的首都', ' yes'])
    """
    if not _ALONE.search(text):
        return text.split()
    words: list[str] = []
    for found in _WORD.findall(text.strip()):
        bare = found.lstrip()
        apart = found != bare and words and (_ALONE.match(bare) or _ALONE.match(words[-1][-1]))
        words.append(f" {bare}" if apart else bare)
    return words


def sentinel(number: int) -> str:
    """What stands for a hidden span.

    >>> sentinel(0)
    '<extra_id_0>'
    """
    return f"{_SENTINEL}{number}>"


def joined(words: Iterable[str]) -> str:
    """The text of words, as :func:`words_of` cut it; a space stands between those that were cut at one, and before a
    sentinel, which to mT5's tokenizer is a token only behind a space.

    >>> joined(words_of("北京是中国的首都 yes no")), joined(["北京", sentinel(0), "首都"])
    ('北京是中国的首都 yes no', '北京 <extra_id_0>首都')
    """
    text = ""
    for word in words:
        together = not word.startswith(_SENTINEL) and (_ALONE.match(word) or _ALONE.match(text[-1:]))
        text += word if not text or word.startswith(" ") or together else f" {word}"
    return text.strip()


def span_corruption(words: list[str], rng: StableRandom, share: float = 0.15, span: float = 2.0) -> tuple[str, str]:
    """Replace random spans by sentinels; the target lists what each sentinel stands for.

    Args:
        share: part of the words that is hidden (T5: 0.15).
        span: mean words per span (T5: 3 tokens).

    Shape of the pair: ``"a <extra_id_0> d <extra_id_1>"``, ``"<extra_id_0> b c <extra_id_1> e <extra_id_2>"``. At least
    one word is hidden; the last span ends the text, as in T5.
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
        source += [*words[at : at + gap], sentinel(i)]
        target += [sentinel(i), *words[at + gap : at + gap + size]]
        at += gap + size
    source += words[at:]
    return joined(source), joined([*target, sentinel(spans)])


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
    return joined(words[:at]), joined(words[at:])


def iid_denoising(words: list[str], rng: StableRandom, share: float = 0.15) -> tuple[str, str]:
    """Hide each word by itself, and those beside each other behind one sentinel (Raffel et al. 2020, sections 3.1.4
    and 3.3.4).

    At least one is hidden.
    """
    hidden = [rng.chance(share) for _ in words]
    if not any(hidden):
        hidden[rng.below(len(words))] = True
    source: list[str] = []
    target: list[str] = []
    spans = 0
    for is_hidden, part in groupby(zip(hidden, words, strict=True), key=lambda pair: pair[0]):
        run = [word for _, word in part]
        if is_hidden:
            source.append(sentinel(spans))
            target += [sentinel(spans), *run]
            spans += 1
        else:
            source += run
    return joined(source), joined([*target, sentinel(spans)])


def language_model(words: list[str], rng: StableRandom) -> tuple[str, str]:
    """Nothing is the input, the text the target."""
    return "", joined(words)


def missing_prefix(words: list[str], rng: StableRandom) -> tuple[str, str]:
    """The rest of a text cut at a random point is the input, what stood before it the target."""
    prefix, rest = prefix_lm(words, rng)
    return rest, prefix


def n_word_prefix(words: list[str], rng: StableRandom, n: int = 8) -> tuple[str, str]:
    """The text is the input, its first n words the target."""
    return joined(words), joined(words[:n])


def missing_n_word_prefix(words: list[str], rng: StableRandom, n: int = 8) -> tuple[str, str]:
    """The text without its first n words is the input, these the target; of a short text, half of it."""
    n = min(n, len(words) // 2) or 1
    return joined(words[n:]), joined(words[:n])


OBJECTIVES = {
    "prefix-lm": prefix_lm,
    "span-corruption": span_corruption,
    "iid-denoising": iid_denoising,
    "language-model": language_model,
    "missing-prefix": missing_prefix,
    "n-word-prefix": n_word_prefix,
    "missing-n-word-prefix": missing_n_word_prefix,
}
"""By name, from the words of a text to an input and a target."""
SENTINELS = ("span-corruption", "iid-denoising")
"""Those that write ``<extra_id_0>`` and so on: a token each of T5's."""
