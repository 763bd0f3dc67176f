"""Sentences of the made-up world: a scene is what happens, :meth:`Scene.text` is one way to say it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mpt.data.synthetic.lexicon import ADJECTIVES, BY_TEXT, GRAMMAR, LEXICON, noun_forms, verb_forms
from mpt.util.stable_random import StableRandom


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: a name, or determiner, adjective (may be empty) and noun."""

    noun: str
    determiner: str = ""
    adjective: str = ""
    plural: bool = False

    def text(self) -> str:
        if not self.determiner:
            return self.noun
        noun = noun_forms(self.noun)[self.plural]
        first = self.adjective or noun
        determiner = "an" if self.determiner == "a" and first[0] in "aeiou" else self.determiner
        return " ".join(filter(None, (determiner, self.adjective, noun)))


@dataclass(frozen=True)
class Scene:
    """Who does what to which thing, where, when and how; ``values`` maps attribute to value."""

    subject: Phrase
    verb: str
    thing: Phrase
    tense: str
    denied: bool
    place: str = ""
    hour: str = ""
    manner: str = ""
    certainty: str = ""
    place_first: bool = False
    values: dict[str, str] = field(default_factory=dict)

    def verb_phrase(self) -> str:
        forms = verb_forms(self.verb)
        if self.tense == "future":
            return f"will {'not ' if self.denied else ''}{forms['base']}"
        if self.denied:
            do = "did" if self.tense == "past" else "do" if self.subject.plural else "does"
            return f"{do} not {forms['base']}"
        if self.tense == "past":
            return forms["past"]
        return forms["base" if self.subject.plural else "third"]

    def text(self) -> str:
        return self._sentence(self.place_first, self.subject.text(), self.verb_phrase(), self.thing.text())

    def passive(self) -> str:
        """The same scene said from the thing's side (affirmative scenes only read well)."""
        be = {"past": ("was", "were"), "present": ("is", "are"), "future": ("will be", "will be")}
        denial = "not " if self.denied else ""
        verb = f"{be[self.tense][self.thing.plural]} {denial}{verb_forms(self.verb)['past']}"
        return self._sentence(False, self.thing.text(), verb, "by", self.subject.text())

    def _sentence(self, place_first: bool, *middle: str) -> str:
        place = f"in the {self.place}" if self.place else ""
        hour = f"at {self.hour}" if self.hour else ""
        ends = (place, "") if place_first else ("", place)
        return " ".join(filter(None, (ends[0], hour, self.certainty, *middle, self.manner, ends[1], ".")))

    def twin(self, rng: StableRandom, p: float = 0.6) -> Scene:
        """The same scene in other words: each word replaced by its twin with probability ``p``."""

        def swap(word: str) -> str:
            return BY_TEXT[word].twin if word and rng.chance(p) else word

        def phrase(np: Phrase) -> Phrase:
            return replace(np, noun=swap(np.noun), adjective=swap(np.adjective))

        return replace(
            self,
            subject=phrase(self.subject),
            verb=swap(self.verb),
            thing=phrase(self.thing),
            place=swap(self.place),
            hour=swap(self.hour),
            manner=swap(self.manner),
            certainty=swap(self.certainty),
        )


_DETERMINERS = {False: ("the", "a"), True: ("the", "some", "two", "three")}
_OPTIONAL = ("place", "hour", "manner", "certainty")


def make_scene(
    rng: StableRandom, fixed: dict[str, str] | None = None, extras: float = 0.35, adjectives: float = 0.5
) -> Scene:
    """A random scene.

    Args:
        fixed: attribute -> value that the scene must show; everything else is random.
        extras: probability of each optional part (place, hour, manner, certainty).
        adjectives: probability of an adjective per noun phrase.

    An adjective class appears at most once per scene, so that a fixed value is never contradicted.
    """
    fixed = fixed or {}
    values = dict(fixed)

    def word(attribute: str) -> str:
        value = fixed.get(attribute) or rng.pick(tuple(LEXICON[attribute]))
        values[attribute] = value
        return rng.pick(LEXICON[attribute][value]).text

    def grammar(attribute: str) -> str:
        values[attribute] = fixed.get(attribute) or rng.pick(GRAMMAR[attribute])
        return values[attribute]

    tense = grammar("tense")
    denied = (fixed.get("denial") or ("no" if rng.chance(0.25) else "yes")) == "no"
    values["denial"] = "no" if denied else "yes"

    wanted = [a for a in fixed if a in ADJECTIVES]
    named = "gender" in fixed or ("agent" not in fixed and "count" not in fixed and rng.chance(0.2))
    slots = ["thing"] if named else rng.shuffled(("subject", "thing"))
    others = rng.shuffled([a for a in ADJECTIVES if a not in fixed])
    chosen = dict(zip(slots, wanted, strict=False))
    for slot in slots:
        if slot not in chosen and rng.chance(adjectives):
            chosen[slot] = others.pop()

    def phrase(noun: str, plural: bool, slot: str) -> Phrase:
        adjective = word(chosen[slot]) if slot in chosen else ""
        return Phrase(noun, rng.pick(_DETERMINERS[plural]), adjective, plural)

    if named:
        subject = Phrase(word("gender"))
        values["agent"], values["count"] = "person", "one"
    else:
        plural = grammar("count") == "many"
        subject = phrase(word("agent"), plural, "subject")
    verb = word("action")
    thing = phrase(word("thing"), rng.chance(0.4), "thing")
    optional = {a: word(a) if a in fixed or rng.chance(extras) else "" for a in _OPTIONAL}
    return Scene(subject, verb, thing, tense, denied, **optional, values=values)  # type: ignore[arg-type]
