"""What can be asked about the world: each skill makes (text, answer) pairs without any instruction.

The suite's tasks present a skill's text as it is (the soft prompt has to play the instruction's part);
pre-training puts an instruction in front (:mod:`mpt.data.synthetic.instructions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpt.data.synthetic.lexicon import ADJECTIVES, BY_TEXT, DIGITS, LEXICON, VALUES, noun_forms, verb_forms
from mpt.data.synthetic.scenes import Scene, make_scene
from mpt.util.stable_random import StableRandom

# attributes whose class a sentence shows
SORTABLE = tuple(VALUES)
# parts of a sentence that can be pointed at
FINDABLE = ("agent", "thing", "action", "place", "hour", "manner", "certainty", "gender", *ADJECTIVES)
REWRITES = ("past", "present", "future", "deny", "affirm", "short", "front", "passive", "twin", "plain")
LIST_RULES = ("first", "last", "reverse", "second")
WORD_RULES = ("kind", "twin", "many", "one", "past", "opposite")
GRAMMAR_FAULTS = ("agreement", "order", "determiner")
CHANGES = ("subject", "thing", "action", "swap", "denial", "adjective", "all")

# adjective attributes with two opposite values
_OPPOSED = ("sentiment", "size", "age", "heat")
_NOUNS = {v: [w.text for w in words] for a in ("agent", "thing", "place") for v, words in LEXICON[a].items()}


def sort(rng: StableRandom, attribute: str, value: str) -> str:
    """A sentence that shows ``value`` of ``attribute``."""
    return make_scene(rng, {attribute: value}).text()


def find(rng: StableRandom, part: str) -> tuple[str, str]:
    """A sentence, and its word of class ``part``, as it stands there."""
    scene = make_scene(rng, {part: rng.pick(VALUES[part])})
    return scene.text(), shown(scene, part)


def shown(scene: Scene, part: str) -> str:
    """The word of ``scene`` that carries attribute ``part``, inflected as in the text."""
    if part in ("agent", "gender"):
        return scene.subject.text().split()[-1]
    if part == "thing":
        return scene.thing.text().split()[-1]
    if part == "action":
        return scene.verb_phrase().split()[-1]
    if part in ADJECTIVES:
        words = {BY_TEXT[p.adjective].attribute: p.adjective for p in (scene.subject, scene.thing) if p.adjective}
        return words[part]
    return str(getattr(scene, part))


def rewrite(rng: StableRandom, rule: str) -> tuple[str, str]:
    """A sentence and the same one rewritten by ``rule``."""
    fixed = {
        "past": {"tense": rng.pick(("present", "future"))},
        "present": {"tense": rng.pick(("past", "future"))},
        "future": {"tense": rng.pick(("past", "present"))},
        "deny": {"denial": "yes"},
        "affirm": {"denial": "no"},
        "front": {"place": rng.pick(VALUES["place"])},
        "passive": {"denial": "yes"},
    }.get(rule, {})
    scene = make_scene(rng, fixed, extras=0.2, adjectives=0.4)
    if rule in ("past", "present", "future"):
        out = replace(scene, tense=rule).text()
    elif rule in ("deny", "affirm"):
        out = replace(scene, denied=rule == "deny").text()
    elif rule == "short":
        out = " ".join(shown(scene, part) for part in ("agent", "action", "thing"))
    elif rule == "front":
        out = replace(scene, place_first=True).text()
    elif rule == "passive":
        out = scene.passive()
    elif rule == "twin":
        out = scene.twin(rng, 1.0).text()
    elif rule == "plain":
        bare = replace(scene, place="", hour="", manner="", certainty="")
        subject, thing = (replace(phrase, adjective="") for phrase in (scene.subject, scene.thing))
        out = replace(bare, subject=subject, thing=thing).text()
    else:
        raise ValueError(f"no such rewriting rule: {rule}")
    return scene.text(), out


def compare(rng: StableRandom, same: bool, change: str | None = None, twins: float = 0.6) -> tuple[str, str]:
    """Two sentences that say the same in other words, or differ by one ``change`` of content."""
    scene = make_scene(rng, {"count": rng.pick(("one", "many"))}, extras=0.15, adjectives=0.4)
    other = scene.twin(rng, twins)
    if not same:
        other = _changed(rng, other, change or rng.pick(CHANGES))
    text = other.passive() if not other.denied and rng.chance(0.15) else other.text()
    return scene.text(), text


def compare_words(rng: StableRandom, same: bool, twins: float = 0.6) -> tuple[str, str]:
    """Like :func:`compare`, for one to three words in the place of sentences."""
    attributes = rng.some([a for a in LEXICON if a != "gender"], 1 + rng.below(3))
    first = [_any(rng, a) for a in attributes]
    second = [BY_TEXT[w].twin if rng.chance(twins) else w for w in first]
    if not same:
        at = rng.below(len(first))
        second[at] = _other_word(rng, first[at])
    return " ".join(first), " ".join(second)


def _other_word(rng: StableRandom, word: str) -> str:
    """Another word of the same attribute that is neither ``word`` nor its twin."""
    known = BY_TEXT[word]
    pool = [w.text for ws in LEXICON[known.attribute].values() for w in ws if w.text not in (word, known.twin)]
    return rng.pick(pool)


def _changed(rng: StableRandom, scene: Scene, change: str) -> Scene:
    if change == "all":
        return make_scene(rng, {"count": rng.pick(("one", "many"))}, extras=0.15, adjectives=0.4)
    if change == "adjective":
        for slot in ("subject", "thing"):
            phrase = getattr(scene, slot)
            if phrase.adjective:
                return replace(scene, **{slot: replace(phrase, adjective=_other_word(rng, phrase.adjective))})
        change = "thing"
    if change == "denial":
        return replace(scene, denied=not scene.denied)
    if change == "action":
        return replace(scene, verb=_other_word(rng, scene.verb))
    if change == "swap":
        a, b = scene.subject, scene.thing
        if a.noun != b.noun:
            return replace(scene, subject=b, thing=a)
        change = "thing"
    phrase = getattr(scene, change)
    return replace(scene, **{change: replace(phrase, noun=_other_word(rng, phrase.noun))})


def choose(rng: StableRandom, value: str, options: int = 3, attribute: str | None = None) -> tuple[list[str], str]:
    """``options`` words of which one has ``value`` (of ``attribute``), and that word."""
    attribute = attribute or attribute_of(value)
    table = LEXICON[attribute]
    answer = rng.pick(table[value]).text
    others = [v for v in table if v != value]
    wrong: list[str] = []
    while len(wrong) < options - 1:
        word = rng.pick(table[rng.pick(others)]).text
        if word not in wrong:
            wrong.append(word)
    return rng.shuffled([answer, *wrong]), answer


def attribute_of(value: str) -> str:
    """The attribute that ``value`` belongs to."""
    return next(a for a, values in VALUES.items() if value in values)


def know(rng: StableRandom, rule: str, words: int = 1) -> tuple[str, str]:
    """Single words and what ``rule`` makes of each: its kind, twin, plural, past, opposite..."""
    pairs = [_known(rng, rule) for _ in range(words)]
    return " ".join(a for a, _ in pairs), " ".join(b for _, b in pairs)


def _known(rng: StableRandom, rule: str) -> tuple[str, str]:
    if rule == "kind":
        value = rng.pick(tuple(_NOUNS))
        return rng.pick(_NOUNS[value]), value
    if rule == "twin":
        word = _any(rng, rng.pick(("agent", "thing", "action", "sentiment", "size", "place")))
        return word, BY_TEXT[word].twin
    if rule in ("many", "one"):
        forms = noun_forms(_any(rng, rng.pick(("agent", "thing"))))
        return (forms[0], forms[1]) if rule == "many" else (forms[1], forms[0])
    if rule == "past":
        forms_of = verb_forms(_any(rng, "action"))
        return forms_of[rng.pick(("base", "third"))], forms_of["past"]
    if rule == "opposite":
        attribute = rng.pick(_OPPOSED)
        word = _any(rng, attribute)
        return word, next(v for v in VALUES[attribute] if v != BY_TEXT[word].value)
    raise ValueError(f"no such word rule: {rule}")


# what is asked -> a fact, the question about it, its answer
_FACTS = {
    "where": ("{name} is in the {place} .", "where is {name} ?", "{place}"),
    "what": ("{name} {past} the {thing} .", "what of {name} ?", "{thing}"),
    "who": ("{name} is in the {place} .", "who in the {place} ?", "{name}"),
    "how": ("{name} did {base} {manner} .", "how did {name} ?", "{manner}"),
    "which": ("{name} {past} the {adjective} {thing} .", "which of {name} ?", "{adjective} {thing}"),
}


def read(rng: StableRandom, asked: str, facts: int = 2) -> tuple[str, str, str]:
    """``(question, passage, answer)`` about one of some short facts, one per name."""
    names = rng.some([w.text for ws in LEXICON["gender"].values() for w in ws], facts)
    target = rng.below(facts)
    fact, question, answer = _FACTS[asked]
    told = []
    for name in names:
        words = {"name": name}
        if "{adjective}" in fact:
            words["adjective"] = _any(rng, rng.pick(tuple(ADJECTIVES)))
        for part in ("place", "manner", "thing"):
            if f"{{{part}}}" in fact:
                words[part] = _any(rng, part)
        if "{place}" not in fact:
            words |= verb_forms(_any(rng, "action"))
        told.append(words)
    passage = " ".join(fact.format_map(words) for words in told)
    return question.format_map(told[target]), passage, answer.format_map(told[target])


def _any(rng: StableRandom, attribute: str) -> str:
    table = LEXICON[attribute]
    return rng.pick(table[rng.pick(tuple(table))]).text


def judge(rng: StableRandom, right: bool, fault: str | None = None) -> str:
    """A grammatical sentence, or one with a ``fault``."""
    scene = make_scene(rng, {"count": rng.pick(("one", "many"))}, extras=0.1, adjectives=0.3)
    if right:
        return scene.text()
    fault = fault or rng.pick(GRAMMAR_FAULTS)
    if fault == "agreement":
        plural = scene.subject.plural
        words = replace(scene, tense="present", subject=replace(scene.subject, plural=not plural)).verb_phrase()
        return replace(scene, tense="present").text().replace(replace(scene, tense="present").verb_phrase(), words, 1)
    words_ = scene.text().split()
    if fault == "order":
        at = words_.index(shown(scene, "thing"))
        words_[at - 1], words_[at] = words_[at], words_[at - 1]
    else:
        at = words_.index(scene.subject.text().split()[0])
        del words_[at]
    return " ".join(words_)


def count(rng: StableRandom, value: str, most: int = 4) -> tuple[str, str]:
    """A list of nouns and how many of them are of kind ``value`` (a digit)."""
    n = 1 + rng.below(most)
    others = [v for v in _NOUNS if v != value]
    words = rng.some(_NOUNS[value], n)
    words += [rng.pick(_NOUNS[rng.pick(others)]) for _ in range(rng.below(3))]
    return " ".join(rng.shuffled(words)), DIGITS[n]


def listed(rng: StableRandom, rule: str) -> tuple[str, str]:
    """A list of three to five words and what ``rule`` makes of it."""
    words = rng.some([word for nouns in _NOUNS.values() for word in nouns], 3 + rng.below(3))
    out = {"first": words[:1], "second": words[1:2], "last": words[-1:], "reverse": words[::-1]}[rule]
    return " ".join(words), " ".join(out)


def styled(text: str, style: str, field: str = "") -> str:
    """``text`` as a source named ``style`` would show it, with the name of the field that is wanted."""
    return " ".join(filter(None, (f"{style} :" if style else "", text, f"{field} ?" if field else "")))


def options_text(words: Sequence[str]) -> str:
    """Options as they stand in a text."""
    return " / ".join(words)
