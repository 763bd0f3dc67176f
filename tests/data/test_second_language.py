"""The made-up world's second language: every text has one translation, and tasks are the first's."""

from __future__ import annotations

import pytest

from mpt.data.fewshot.files import load_fewshot
from mpt.data.synthetic.lexicon import vocabulary
from mpt.data.synthetic.second_language import SECOND_RECIPES, other_language, other_word, second_name
from mpt.data.synthetic.suite import RECIPES
from mpt.metrics.generation import ascii_share


def test_words_are_translated_one_to_one():
    words = [word for word in vocabulary() if word.isalpha()]
    others = [other_word(word) for word in words]
    assert len(set(others)) == len(words) and not set(others) & set(words)
    assert [other_word(word) for word in others] == words
    assert ascii_share(words) == 1 and ascii_share(others) == 0


@pytest.mark.parametrize("name", RECIPES)
def test_a_task_in_the_second_language_is_the_first_translated(name):
    first, second = (load_fewshot("synthetic", task, 13, 4) for task in (name, second_name(name)))
    assert second.task.metric == first.task.metric
    assert [other_word(label) for label in second.task.labels] == list(first.task.labels)
    for one in [*second.train, *second.test[:50]]:
        back = other_language(one.input)
        assert other_language(back) == one.input and back.isascii()
        assert ascii_share([one.input]) < 0.5
        (answer,) = one.targets
        assert other_language(other_language(answer)) == answer
    assert not {one.input for one in second.train} & {one.input for one in second.test}


def test_text_in_both_languages():
    for name, own in (("syn-text", 1.0), ("second-text", 0.0)):
        draw = load_fewshot("synthetic", name, 13, 20)
        assert len(draw.train) == 20 and {one.input for one in draw.train} == {""}
        letters = ["".join(filter(str.isalpha, one.targets[0])) for one in draw.train]
        assert ascii_share(letters) == own


def test_the_suite_is_as_large_in_both():
    assert len(SECOND_RECIPES) == len(RECIPES)
