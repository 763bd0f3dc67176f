"""The backbone's schooling: world texts with an instruction in front, and plain running text.

The suite's tasks carry no instruction. What pre-training has to teach is that words in front of a text
decide what is done with it, so that a soft prompt can later switch a behaviour on. Labels come in two
lessons: first each value is answered with its own name, later with random words that the instruction
binds to the values (random ones from the start are never learned).
"""

from __future__ import annotations

from mpt.data.synthetic import skills
from mpt.data.synthetic.lexicon import LABELS, LEXICON, STYLES, VALUES, vocabulary
from mpt.data.synthetic.scenes import make_scene
from mpt.util.stable_random import StableRandom

ANY_WORD = tuple(w for w in vocabulary() if w.isalpha())

# how often each kind of lesson is given
LESSONS = {
    "sort": 0.38,
    "bind": 0.07,
    "same": 0.15,
    "judge": 0.03,
    "find": 0.03,
    "choose": 0.05,
    "know": 0.09,
    "read": 0.08,
    "count": 0.02,
    "list": 0.03,
    "rewrite": 0.07,
}
# attributes of many words take more practice
_SORTS = (*skills.SORTABLE, *("thing", "action", "agent") * 2, "place", "colour")
_RULES = (*skills.WORD_RULES, *("twin",) * 4, "kind")
_REWRITES = (*skills.REWRITES, *("twin",) * 3)


def _labels(rng: StableRandom, names: list[str], random_labels: bool) -> list[str]:
    """A label word per name: itself, or different random words."""
    if not random_labels:
        return names
    return rng.some(LABELS if rng.chance(0.6) else ANY_WORD, len(names))


def _bound(rng: StableRandom, names: list[str], labels: list[str]) -> str:
    pairs = [f"{n} {w}" for n, w in zip(names, labels, strict=True)]
    return " ".join(rng.shuffled(pairs))


def _style(rng: StableRandom, text: str) -> str:
    return skills.styled(text, rng.pick(STYLES) if rng.chance(0.5) else "")


def _word(rng: StableRandom, attribute: str, value: str) -> str:
    """A word that has ``value``, or the value's own name."""
    if attribute in LEXICON and rng.chance(0.7):
        return rng.pick(LEXICON[attribute][value]).text
    return value


def _more_bound(rng: StableRandom, attribute: str, names: list[str], labels: list[str], random_labels: bool) -> str:
    """The bindings of ``attribute`` among those of one or two other attributes."""
    for other in rng.some([a for a in skills.SORTABLE if a != attribute], 1 + rng.below(2)):
        values = rng.some(VALUES[other], min(len(VALUES[other]), 2 + rng.below(2)))
        names = names + values
        labels = labels + _labels(rng, values, random_labels)
    return _bound(rng, names, labels)


def lesson(rng: StableRandom, random_labels: float, words: float = 0.25, fields: float = 0.0) -> tuple[str, str]:
    """One ``(input, target)`` with an instruction; ``random_labels`` is the share of random label words.

    Args:
        words: share of lessons about single words, where a lesson can be.
        fields: share of lessons where what is asked for stands behind the text, as in the suite's inputs, and
            not in the instruction; an instruction then binds the labels of several attributes.
    """
    roll, kind = rng.below(10**6) / 10**6, ""
    for kind, share in LESSONS.items():  # noqa: B007
        roll -= share
        if roll < 0:
            break
    shuffled = rng.chance(random_labels)
    behind = fields > 0 and rng.chance(fields)

    def ask(what: str, text: str, field: str = "") -> str:
        return f"{kind} ; {text} {field or what} ?" if behind else f"{kind} {what} ; {text}"

    if kind == "sort":
        attribute = rng.pick(_SORTS)
        values = list(VALUES[attribute])
        values = rng.some(values, min(len(values), 2 + rng.below(4)))
        labels = _labels(rng, values, shuffled)
        at = rng.below(len(values))
        # single words first show how an instruction binds labels to values
        if rng.chance(words):
            text = _word(rng, attribute, values[at])
        else:
            text = _style(rng, skills.sort(rng, attribute, values[at]))
        if behind:
            bound = _more_bound(rng, attribute, values, labels, shuffled)
            return f"sort {bound} ; {text} {attribute} ?", labels[at]
        return f"sort {attribute} {_bound(rng, values, labels)} ; {text}", labels[at]
    if kind == "bind":
        n = 2 + rng.below(3)
        pool = rng.some(ANY_WORD, 2 * n)
        at = rng.below(n)
        return f"bind {_bound(rng, pool[:n], pool[n:])} ; {pool[at]}", pool[n + at]
    if kind in ("same", "judge"):
        labels = _labels(rng, ["yes", "no"], shuffled and rng.chance(0.5))
        right = rng.chance(0.5)
        if kind == "same":
            # the fewer twins, the easier: plain repetition comes first to be noticed
            twins = rng.pick((0.0, 0.3, 0.6))
            if rng.chance(words):
                a, b = skills.compare_words(rng, right, twins=twins)
            else:
                a, b = skills.compare(rng, right, "all" if rng.chance(0.3) else None, twins)
            text = f"{a} | {b}"
        else:
            text = _style(rng, skills.judge(rng, right))
        return f"{kind} {_bound(rng, ['yes', 'no'], labels)} ; {text}", labels[not right]
    if kind == "find":
        part = rng.pick(skills.FINDABLE)
        text, answer = skills.find(rng, part)
        return ask(part, _style(rng, text), f"which {part}"), answer
    if kind == "choose":
        attribute = rng.pick(tuple(LEXICON))
        value = rng.pick(VALUES[attribute])
        options, answer = skills.choose(rng, value, 2 + rng.below(min(3, len(VALUES[attribute]))), attribute)
        return ask(value, skills.options_text(options)), answer
    if kind == "know":
        rule = rng.pick(_RULES)
        text, answer = skills.know(rng, rule, 1 + rng.below(2))
        return ask(rule, text), answer
    if kind == "read":
        question, passage, answer = skills.read(rng, rng.pick(("where", "what", "who", "how", "which")))
        return f"read ; {question} {passage}", answer
    if kind == "count":
        value = rng.pick((*VALUES["agent"], *VALUES["thing"], *VALUES["place"]))
        text, answer = skills.count(rng, value)
        return f"number {value} ; {text}", answer
    if kind == "list":
        rule = rng.pick(skills.LIST_RULES)
        text, answer = skills.listed(rng, rule)
        return ask(rule, text), answer
    rule = rng.pick(_REWRITES)
    text, answer = skills.rewrite(rng, rule)
    return ask(rule, _style(rng, text)), answer


def document(rng: StableRandom) -> str:
    """One or two sentences of running text."""
    sentences = [make_scene(rng).text() for _ in range(1 + rng.below(2))]
    return _style(rng, " ".join(sentences))
