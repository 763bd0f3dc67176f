"""The made-up world's words, of ``words.yaml``: a few hundred, each with hidden attributes.

Which word has which attribute value is what the embedded backbone has to find out in pre-training; nothing in a text
marks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

_CONTENT = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Word:
    """A word, the attribute it carries, its value, and its twin (itself for a name)."""

    text: str
    attribute: str
    value: str
    twin: str


def _words(attribute: str, table: dict[str, str]) -> dict[str, list[Word]]:
    out: dict[str, list[Word]] = {}
    for value, text in table.items():
        out[value] = []
        for pair in text.split():
            a, _, b = pair.partition("/")
            out[value].append(Word(a, attribute, value, b or a))
            if b:
                out[value].append(Word(b, attribute, value, a))
    return out


# attribute -> value -> words
ADJECTIVES = {attribute: _words(attribute, table) for attribute, table in _CONTENT["adjectives"].items()}
LEXICON = ADJECTIVES | {attribute: _words(attribute, table) for attribute, table in _CONTENT["others"].items()}
# attributes that are a matter of grammar and not of a word
GRAMMAR: dict[str, tuple[str, ...]] = {
    "tense": ("past", "present", "future"),
    "count": ("one", "many"),
    "denial": ("yes", "no"),
}
VALUES: dict[str, tuple[str, ...]] = {**{a: tuple(v) for a, v in LEXICON.items()}, **GRAMMAR}

STYLES, LABELS, KEYWORDS, FUNCTION_WORDS = (
    tuple(_CONTENT[kind].split()) for kind in ("styles", "labels", "keywords", "function_words")
)
DIGITS = tuple("0123456789")

_HISSING = ("ch", "sh", "s", "x")


def noun_forms(word: str) -> tuple[str, str]:
    """``(singular, plural)`` of a noun."""
    return word, word + ("es" if word.endswith(_HISSING) else "s")


def verb_forms(word: str) -> dict[str, str]:
    """Base form, third person, past form (also the participle) of a verb."""
    third = word + ("es" if word.endswith(_HISSING) else "s")
    return {"base": word, "third": third, "past": word + ("d" if word.endswith("e") else "ed")}


# every word by its text, for tasks about single words
BY_TEXT: dict[str, Word] = {w.text: w for table in LEXICON.values() for words in table.values() for w in words}


def vocabulary() -> list[str]:
    """Every word that the world's texts can hold, without repetition, in a fixed order."""
    out = dict.fromkeys(FUNCTION_WORDS)
    for attribute, table in LEXICON.items():
        out[attribute] = None
        for value, words in table.items():
            out[value] = None
            for word in words:
                if attribute in ("agent", "thing"):
                    out.update(dict.fromkeys(noun_forms(word.text)))
                elif attribute == "action":
                    out.update(dict.fromkeys(verb_forms(word.text).values()))
                else:
                    out[word.text] = None
    for attribute, values in GRAMMAR.items():
        out.update(dict.fromkeys((attribute, *values)))
    out.update(dict.fromkeys((*KEYWORDS, *STYLES, *LABELS, *DIGITS)))
    return list(out)
