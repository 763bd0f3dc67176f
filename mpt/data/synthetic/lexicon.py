"""The made-up world's words: a few hundred, each with hidden attributes.

``a/b`` are a word and its twin: the two mean the same in this world. Which word has which attribute
value is what the embedded backbone has to find out in pre-training; nothing in a text marks it.
"""

from __future__ import annotations

from dataclasses import dataclass

_ADJECTIVES = ("sentiment", "size", "colour", "age", "heat")
# attribute -> value -> words; the verbs are regular, as all are in this world
_WORDS = {
    "sentiment": {
        "good": "lovely/charming pleasant/nice brave/bold clever/smart kind/gentle honest/fair",
        "bad": "awful/terrible ugly/hideous lazy/idle rude/nasty cruel/mean boring/dull",
    },
    "size": {
        "big": "large/huge giant/enormous broad/wide tall/high",
        "small": "little/tiny minute/slight narrow/thin short/low",
    },
    "colour": {
        "red": "red/crimson pink/rosy",
        "blue": "blue/azure navy/indigo",
        "green": "green/emerald olive/mossy",
        "yellow": "yellow/golden amber/sandy",
        "black": "black/sooty dark/dusky",
    },
    "age": {"old": "old/ancient worn/faded aged/rusty", "new": "new/modern fresh/recent young/newborn"},
    "heat": {"hot": "hot/burning boiling/steaming warm/sunny", "cold": "cold/icy frozen/frosty cool/chilly"},
    "agent": {
        "person": "doctor/surgeon teacher/tutor farmer/grower sailor/skipper baker/cook soldier/guard",
        "animal": "dog/hound cat/kitten horse/stallion bird/sparrow pig/hog rabbit/hare",
        "machine": "robot/android engine/motor drone/rover computer/laptop pump/turbine crane/lifter",
    },
    "thing": {
        "food": "apple/pear cake/pie soup/stew bun/roll sausage/burger carrot/turnip",
        "tool": "hammer/mallet saw/blade spade/shovel drill/borer wrench/spanner needle/pin",
        "clothes": "coat/jacket hat/cap shirt/blouse shoe/boot scarf/shawl glove/mitten",
        "furniture": "table/desk chair/stool bed/couch shelf/rack lamp/lantern carpet/rug",
        "toy": "ball/marble doll/puppet kite/balloon puzzle/riddle drum/whistle swing/slide",
    },
    "action": {
        "love": "adore/admire enjoy/cherish welcome/treasure",
        "hate": "detest/resent fear/dread scorn/disdain",
        "see": "watch/observe discover/notice view/inspect",
        "make": "build/construct paint/varnish repair/mend",
        "trade": "borrow/rent order/purchase offer/auction",
        "harm": "burn/scorch crush/smash attack/damage",
    },
    "place": {
        "city": "market/bazaar museum/gallery station/terminal street/avenue",
        "nature": "forest/wood meadow/field desert/dune mountain/hill",
        "house": "kitchen/pantry bedroom/attic cellar/basement hall/porch",
        "water": "river/stream lake/pond harbour/port ocean/sea",
    },
    "hour": {
        "morning": "dawn/sunrise breakfast/daybreak",
        "noon": "noon/midday lunch/lunchtime",
        "night": "night/midnight dusk/nightfall",
    },
    "manner": {
        "fast": "quickly/rapidly swiftly/hastily",
        "slow": "slowly/gradually calmly/lazily",
        "loud": "loudly/noisily",
        "quiet": "quietly/silently",
    },
    "certainty": {"sure": "surely/certainly clearly/plainly", "unsure": "maybe/perhaps possibly/supposedly"},
    "gender": {
        "female": "anna clara emma julia laura maria nina olga rosa sofia tina vera",
        "male": "adam boris david felix george henry karl leo martin oscar peter simon",
    },
}


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


LEXICON: dict[str, dict[str, list[Word]]] = {attribute: _words(attribute, table) for attribute, table in _WORDS.items()}
ADJECTIVES = {attribute: LEXICON[attribute] for attribute in _ADJECTIVES}
# attributes that are a matter of grammar and not of a word
GRAMMAR: dict[str, tuple[str, ...]] = {
    "tense": ("past", "present", "future"),
    "count": ("one", "many"),
    "denial": ("yes", "no"),
}
VALUES: dict[str, tuple[str, ...]] = {**{a: tuple(v) for a, v in LEXICON.items()}, **GRAMMAR}

_OTHERS = {
    # words that stand in front of a text, as a source or genre would
    "styles": "review news diary letter tweet report story blog memo caption quote post script log ad note poem speech",
    # words that mean nothing in the world: label words
    "labels": """
        positive negative yes no true false alpha beta gamma delta joy gloom peak base left right up down in out north
        south east west hit miss plus minus win loss open closed public private hard soft sweet sour rock paper
        scissors gold silver bronze iron copper spring summer autumn winter accept reject keep drop send stop first
        second third fourth fifth circle square triangle star cross oak pine birch maple willow mars venus jupiter
        saturn neptune jazz opera waltz tango polka sport science finance travel health spam ham fact opinion same
        other equal different match clash normal strange safe unsafe major minor on off
    """,
    # words that only instructions use
    "keywords": """
        sort bind same judge find choose know read number list rewrite first second last reverse past present future
        deny affirm short front passive twin plain kind many one opposite
    """,
    # words that hold a sentence together
    "function_words": """
        the a an some . , ; : | / ? = - ( ) will does do did not was were been be by at in on with and then but who
        what where when how why which is are it there here of to from for or if one two three four five
    """,
}
STYLES, LABELS, KEYWORDS, FUNCTION_WORDS = (tuple(text.split()) for text in _OTHERS.values())
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
