"""A second language of the made-up world: the same things, other words in other letters, another word order.

``second-rewrite-short`` is the task ``syn-rewrite-short`` in it. The words of a clause stand in the reverse order and
each is the first language's read backwards, in Cyrillic letters; what stands between clauses stays. So a text says in
which of the two languages it is by its letters (its share of ASCII), and every text of one has its only translation.
"""

from __future__ import annotations

from dataclasses import replace

from mpt.data.synthetic.instructions import ANY_WORD, document
from mpt.data.synthetic.scenes import make_scene
from mpt.data.synthetic.skills import shown
from mpt.data.synthetic.suite import RECIPES, Pair, TaskRecipe
from mpt.data.tasks.task import Task
from mpt.util.stable_random import StableRandom

FIRST, SECOND = "syn-", "second-"
_LATIN, _CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопярстувшэыз"
_ASKED = "twin"
"""Of a word of one language; ``know twin`` asks for its twin in the same."""
_TABLE = str.maketrans(_LATIN + _CYRILLIC, _CYRILLIC + _LATIN)


def other_word(word: str) -> str:
    """A word of one language in the other; what is no word (a digit, a full stop) is itself.

    >>> other_word("doctor"), other_word("ротцод")
    ('ротцод', 'doctor')
    """
    return word[::-1].translate(_TABLE) if word.isalpha() else word


def other_language(text: str) -> str:
    """A text of one language in the other.

    >>> other_language("the big doctor saw an apple . where ?")
    'елппа на шас ротцод гиб ехт . ерехш ?'
    """
    clause: list[str] = []
    found: list[str] = []
    for word in [*text.split(), ""]:
        if word.isalpha() or word.isdigit():
            clause.insert(0, other_word(word))
        else:
            found += [*clause, word]
            clause = []
    return " ".join(found).strip()


def translation(rng: StableRandom) -> Pair:
    """One to three words of one language, and the same in the other."""
    words = " ".join(rng.some(ANY_WORD, 1 + rng.below(3)))
    pair = f"{_ASKED} ; {words}", other_language(words)
    return pair if rng.chance(0.5) else (f"{other_word(_ASKED)} ; {pair[1]}", words)


def _second(recipe: TaskRecipe) -> TaskRecipe:
    own, task = recipe.make, recipe.task
    labels = {other_word(label): label for label in task.labels}

    def make(rng: StableRandom, label: str) -> Pair:
        text, answer = own(rng, labels.get(label, ""))
        return other_language(text), label or other_language(answer)

    return TaskRecipe(replace(task, name=second_name(task.name), labels=tuple(labels)), make)


def second_name(task: str) -> str:
    """What a task of the suite is called in the second language."""
    return SECOND + task.removeprefix(FIRST)


def _text(rng: StableRandom, label: str) -> Pair:
    """Unlabelled text."""
    return "", document(rng)


def _digest(rng: StableRandom, label: str) -> Pair:
    """What was done to which thing by whom, of a sentence; no text of the schooling asks for it."""
    scene = make_scene(rng, extras=0.5, adjectives=0.7)
    return f"news : {scene.text()}", " ".join(shown(scene, part) for part in ("thing", "action", "agent"))


_OWN = (
    TaskRecipe(Task("syn-text", "other", "Rouge-L"), _text),
    TaskRecipe(Task("syn-digest", "generation", "Rouge-L"), _digest),
)
SECOND_RECIPES = {second_name(name): _second(recipe) for name, recipe in RECIPES.items()}
OWN_RECIPES = {recipe.task.name: recipe for own in _OWN for recipe in (own, _second(own))}
"""In both languages unlabelled text, and a task to learn in one and to ask for in the other."""
