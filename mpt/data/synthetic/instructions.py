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
from mpt.util.dice import Dice

_ANY_WORD = tuple(w for w in vocabulary() if w.isalpha())

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


def _labels(dice: Dice, names: list[str], random_labels: bool) -> list[str]:
    """A label word per name: itself, or different random words."""
    if not random_labels:
        return names
    return dice.some(LABELS if dice.chance(0.6) else _ANY_WORD, len(names))


def _bound(dice: Dice, names: list[str], labels: list[str]) -> str:
    pairs = [f"{n} {w}" for n, w in zip(names, labels, strict=True)]
    return " ".join(dice.shuffled(pairs))


def _style(dice: Dice, text: str) -> str:
    return skills.styled(text, dice.pick(STYLES) if dice.chance(0.5) else "")


def _word(dice: Dice, attribute: str, value: str) -> str:
    """A word that has ``value``, or the value's own name."""
    if attribute in LEXICON and dice.chance(0.7):
        return dice.pick(LEXICON[attribute][value]).text
    return value


def _more_bound(dice: Dice, attribute: str, names: list[str], labels: list[str], random_labels: bool) -> str:
    """The bindings of ``attribute`` among those of one or two other attributes."""
    for other in dice.some([a for a in skills.SORTABLE if a != attribute], 1 + dice.below(2)):
        values = dice.some(VALUES[other], min(len(VALUES[other]), 2 + dice.below(2)))
        names = names + values
        labels = labels + _labels(dice, values, random_labels)
    return _bound(dice, names, labels)


def lesson(dice: Dice, random_labels: float, words: float = 0.25, fields: float = 0.0) -> tuple[str, str]:
    """One ``(input, target)`` with an instruction; ``random_labels`` is the share of random label words.

    Args:
        words: share of lessons about single words, where a lesson can be.
        fields: share of lessons where what is asked for stands behind the text, as in the suite's inputs, and
            not in the instruction; an instruction then binds the labels of several attributes.
    """
    roll, kind = dice.below(10**6) / 10**6, ""
    for kind, share in LESSONS.items():  # noqa: B007
        roll -= share
        if roll < 0:
            break
    shuffled = dice.chance(random_labels)
    behind = fields > 0 and dice.chance(fields)

    def ask(what: str, text: str, field: str = "") -> str:
        return f"{kind} ; {text} {field or what} ?" if behind else f"{kind} {what} ; {text}"

    if kind == "sort":
        attribute = dice.pick(_SORTS)
        values = list(VALUES[attribute])
        values = dice.some(values, min(len(values), 2 + dice.below(4)))
        labels = _labels(dice, values, shuffled)
        at = dice.below(len(values))
        # single words first show how an instruction binds labels to values
        if dice.chance(words):
            text = _word(dice, attribute, values[at])
        else:
            text = _style(dice, skills.sort(dice, attribute, values[at]))
        if behind:
            bound = _more_bound(dice, attribute, values, labels, shuffled)
            return f"sort {bound} ; {text} {attribute} ?", labels[at]
        return f"sort {attribute} {_bound(dice, values, labels)} ; {text}", labels[at]
    if kind == "bind":
        n = 2 + dice.below(3)
        pool = dice.some(_ANY_WORD, 2 * n)
        at = dice.below(n)
        return f"bind {_bound(dice, pool[:n], pool[n:])} ; {pool[at]}", pool[n + at]
    if kind in ("same", "judge"):
        labels = _labels(dice, ["yes", "no"], shuffled and dice.chance(0.5))
        right = dice.chance(0.5)
        if kind == "same":
            # the fewer twins, the easier: plain repetition comes first to be noticed
            twins = dice.pick((0.0, 0.3, 0.6))
            if dice.chance(words):
                a, b = skills.compare_words(dice, right, twins=twins)
            else:
                a, b = skills.compare(dice, right, "all" if dice.chance(0.3) else None, twins)
            text = f"{a} | {b}"
        else:
            text = _style(dice, skills.judge(dice, right))
        return f"{kind} {_bound(dice, ['yes', 'no'], labels)} ; {text}", labels[not right]
    if kind == "find":
        part = dice.pick(skills.FINDABLE)
        text, answer = skills.find(dice, part)
        return ask(part, _style(dice, text), f"which {part}"), answer
    if kind == "choose":
        attribute = dice.pick(tuple(LEXICON))
        value = dice.pick(VALUES[attribute])
        options, answer = skills.choose(dice, value, 2 + dice.below(min(3, len(VALUES[attribute]))), attribute)
        return ask(value, skills.options_text(options)), answer
    if kind == "know":
        rule = dice.pick(_RULES)
        text, answer = skills.know(dice, rule, 1 + dice.below(2))
        return ask(rule, text), answer
    if kind == "read":
        question, passage, answer = skills.read(dice, dice.pick(("where", "what", "who", "how", "which")))
        return f"read ; {question} {passage}", answer
    if kind == "count":
        value = dice.pick((*VALUES["agent"], *VALUES["thing"], *VALUES["place"]))
        text, answer = skills.count(dice, value)
        return f"number {value} ; {text}", answer
    if kind == "list":
        rule = dice.pick(skills.LIST_RULES)
        text, answer = skills.listed(dice, rule)
        return ask(rule, text), answer
    rule = dice.pick(_REWRITES)
    text, answer = skills.rewrite(dice, rule)
    return ask(rule, _style(dice, text)), answer


def document(dice: Dice) -> str:
    """One or two sentences of running text."""
    sentences = [make_scene(dice).text() for _ in range(1 + dice.below(2))]
    return _style(dice, " ".join(sentences))
