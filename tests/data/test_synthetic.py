"""The embedded suite: what it promises about every task, and that its labels follow from the texts."""

from collections import Counter

import numpy as np
import pytest

from mpt.data.synthetic.draw import TEST_SIZE, _examples, synthetic_fewshot, synthetic_tasks
from mpt.data.synthetic.instructions import document, lesson
from mpt.data.synthetic.lexicon import BY_TEXT, LABELS, LEXICON, vocabulary
from mpt.data.synthetic.scenes import make_scene
from mpt.data.synthetic.suite import RECIPES
from mpt.data.tasks.partitions import load_partition, partition_names
from mpt.metrics.crossfit import METRICS
from mpt.util.errors import UserError
from mpt.util.stable_random import StableRandom

TASKS = {name: task for name, task in synthetic_tasks().items() if name in RECIPES}
SUITE_PARTITIONS = [name for name in partition_names() if name.startswith("synthetic-")]


def test_a_draw_that_a_task_has_too_few_inputs_for_is_refused():
    with pytest.raises(UserError, match="syn-know-opposite has 3896 different inputs and not the 4000"):
        synthetic_fewshot("syn-know-opposite", 13, 1000)


def test_there_are_tasks_of_every_type_in_about_crossfits_proportions():
    types = Counter(task.type for task in TASKS.values())
    assert len(TASKS) >= 48
    assert types["paraphrase"] >= 4
    share = {kind: n / len(TASKS) for kind, n in types.items()}
    assert 0.35 < share["classification"] + share["paraphrase"] < 0.5
    assert 0.3 < share["qa"] < 0.4
    assert 0.07 < share["generation"] < 0.13
    assert {task.metric for task in TASKS.values()} <= set(METRICS)


@pytest.mark.long
@pytest.mark.parametrize("name", TASKS)
def test_a_draw_is_balanced_disjoint_and_repeatable(name):
    draw = synthetic_fewshot(name, 13)
    labels = TASKS[name].labels
    assert draw == synthetic_fewshot(name, 13)
    assert draw.k == (16 if labels else 32)
    size = draw.k * max(1, len(labels))
    assert (len(draw.train), len(draw.dev), len(draw.test)) == (size, size, TEST_SIZE)
    inputs = [example.input for example in draw.train + draw.dev + draw.test]
    assert len(set(inputs)) == len(inputs)
    if labels:
        for part in (draw.train, draw.dev):
            assert Counter(e.targets[0] for e in part) == dict.fromkeys(labels, 16)
        assert {e.targets[0] for e in draw.test} == set(labels)
    words = set(vocabulary())
    assert all(set(f"{e.input} {e.targets[0]}".split()) <= words for e in draw.train + draw.test)
    assert not any(c in text for e in draw.test for text in (e.input, *e.targets) for c in "\t\n")


def test_the_test_list_depends_on_neither_seed_nor_k():
    one, other = synthetic_fewshot("syn-place-letter", 13), synthetic_fewshot("syn-place-letter", 21, k=4)
    assert one.test == other.test
    assert one.train != other.train
    assert len(other.train) == 16


def test_draws_of_a_task_are_made_of_the_same_examples_and_none_changes_another():
    one, other = synthetic_fewshot("syn-place-letter", 13), synthetic_fewshot("syn-place-letter", 21)
    assert all(a is b for a, b in zip(one.test, other.test, strict=True))
    for part in (one.train, one.dev, one.test):
        part.clear()
    again = synthetic_fewshot("syn-place-letter", 13)
    assert again.test == other.test and len(again.train) == len(again.dev) == len(other.train)


def test_a_draw_follows_crossfits_sampling():
    """The first k of each label in numpy's legacy shuffle of the pool train, the next k are dev."""
    name, k = "syn-sentiment-review", 8
    taken = {e.input for e in synthetic_fewshot(name, 1, k).test}
    pool = _examples(RECIPES[name], "pool", 4 * k * 2, taken)
    np.random.RandomState(87).shuffle(pool)  # type: ignore[arg-type]
    draw = synthetic_fewshot(name, 87, k)
    for label in ("positive", "negative"):
        of_label = [e for e in pool if e.targets == (label,)]
        assert [e for e in draw.train if e.targets == (label,)] == of_label[:k]
        assert [e for e in draw.dev if e.targets == (label,)] == of_label[k : 2 * k]


def test_labels_follow_from_the_words():
    for example in synthetic_fewshot("syn-sentiment-review", 13).test:
        values = {
            BY_TEXT[w].value for w in example.input.split() if w in BY_TEXT and BY_TEXT[w].attribute == "sentiment"
        }
        assert values == ({"good"} if example.targets == ("positive",) else {"bad"})
    for example in synthetic_fewshot("syn-topic-ad", 13).test:
        topics = {
            "health": "food",
            "science": "tool",
            "finance": "clothes",
            "travel": "furniture",
            "sport": "toy",
        }
        stems = {w.removesuffix(end) for w in example.input.split() for end in ("", "s", "es")} & BY_TEXT.keys()
        nouns = {BY_TEXT[w].value for w in stems if BY_TEXT[w].attribute == "thing"}
        assert topics[example.targets[0]] in nouns


def test_rewriting_and_counting():
    for example in synthetic_fewshot("syn-rewrite-deny", 13).test[:50]:
        assert " not " in example.targets[0] and " not " not in example.input
    for example in synthetic_fewshot("syn-number-animal", 13).test[:50]:
        words = example.input.removeprefix("log : ").removesuffix(" animal ?").split()
        assert sum(BY_TEXT[w].value == "animal" for w in words) == int(example.targets[0])
    for example in synthetic_fewshot("syn-list-reverse", 13).test[:50]:
        words = example.input.removeprefix("memo : ").removesuffix(" reverse ?").split()
        assert " ".join(reversed(words)) == example.targets[0]


def test_twins_mean_the_same():
    for word in BY_TEXT.values():
        twin = BY_TEXT[word.twin]
        assert (twin.twin, twin.attribute, twin.value) == (word.text, word.attribute, word.value)
    words = vocabulary()
    assert len(words) == len(set(words))
    assert not set(LABELS) & set(BY_TEXT)


@pytest.mark.parametrize("attribute", LEXICON)
def test_a_scene_shows_the_value_that_was_asked_for(attribute):
    rng = StableRandom(attribute)
    for value, words in LEXICON[attribute].items():
        stems = tuple(word.text for word in words)
        for _ in range(20):
            assert any(word.startswith(stems) for word in make_scene(rng, {attribute: value}).text().split())


def test_dice_are_the_same_everywhere():
    rng = StableRandom("a", 1)
    # written down once: random.Random("a/1").random() is promised to stay
    assert [rng.below(100) for _ in range(5)] == [33, 88, 78, 14, 54]
    assert sorted(StableRandom(3).shuffled(range(9))) == list(range(9))
    assert len(set(StableRandom(4).some(range(50), 20))) == 20


def test_lessons_are_spelt_in_the_worlds_words_and_start_with_fixed_labels():
    words, rng = set(vocabulary()), StableRandom("lessons")
    for share in (0.0, 1.0):
        for _ in range(500):
            source, target = lesson(rng, share)
            assert set(f"{source} {target} {document(rng)}".split()) <= words
            if source.startswith("sort") and share == 0.0:
                names = source.split(" ; ")[0].split()[2:]
                assert names[::2] == names[1::2]


def test_an_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="syn-sentiment-review"):
        synthetic_fewshot("syn-sentiment-reviews", 13)
    with pytest.raises(UserError, match="at least 1"):
        synthetic_fewshot("syn-sentiment-review", 13, k=0)


@pytest.mark.parametrize("name", SUITE_PARTITIONS)
def test_partitions_name_tasks_of_the_suite(name):
    partition = load_partition(name)
    for task in (*partition.source, *partition.target, *partition.validation):
        assert task in TASKS


def test_partitions_are_of_the_types_they_say():
    kinds = {name: load_partition(f"synthetic-{name}") for name in (
        "random-to-random", "classification-to-classification",
        "nonclassification-to-classification", "nonparaphrase-to-paraphrase")}  # fmt: skip
    types = lambda names: {TASKS[name].type for name in names}  # noqa: E731
    assert len(kinds["random-to-random"].target) >= 6
    assert types(kinds["classification-to-classification"].source) == {"classification"}
    assert types(kinds["classification-to-classification"].target) == {"classification"}
    assert not types(kinds["nonclassification-to-classification"].source) & {"classification", "paraphrase"}
    assert types(kinds["nonclassification-to-classification"].target) == {"classification"}
    assert "paraphrase" not in types(kinds["nonparaphrase-to-paraphrase"].source)
    assert types(kinds["nonparaphrase-to-paraphrase"].target) == {"paraphrase"}
