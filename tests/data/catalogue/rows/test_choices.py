"""Rows of multiple-choice data sets: candidates with letters, and the right one among them."""

import copy
import random

import numpy as np
import pytest

from mpt.data.catalogue.rows import choices


def only(rows, function, *columns, **options):
    """The values of some columns of what a function makes of rows, which it must leave as they were."""
    before = copy.deepcopy(rows)
    made = list(function(rows, **options))
    assert rows == before
    return [tuple(row[column] for column in columns) for row in made]


def test_a_list_of_candidates_takes_letters():
    rows = [{"choices": ["tea", "milk", "juice"]}, {"choices": ["yes"]}]
    shown = only(rows, choices.listed, "lettered", choices="choices")
    assert shown == [(" (A) tea (B) milk (C) juice",), (" (A) yes",)]


def test_the_columns_of_the_source_stay():
    assert only([{"choices": ["tea"], "answer": "tea"}], choices.listed, "answer", choices="choices") == [("tea",)]


def test_candidates_in_several_columns():
    rows = [{"answer0": "tea", "answer1": "milk", "label": 1}]
    made = only(rows, choices.indexed, "lettered", "correct", choices=["answer0", "answer1"], answer="label")
    assert made == [(" (A) tea (B) milk", "milk")]


@pytest.mark.parametrize(
    ("value", "first", "correct"),
    [(0, 0, "tea"), ("0", 0, "tea"), (1, 0, "milk"), ("1", 1, "tea"), ("2", 1, "milk"), ("2\n", 1, "milk")],
)
def test_an_answer_by_number(value, first, correct):
    rows = [{"endings": ["tea", "milk"], "label": value}]
    made = only(rows, choices.indexed, "correct", choices="endings", answer="label", first=first)
    assert made == [(correct,)]


@pytest.mark.parametrize(("value", "first"), [(2, 0), (-1, 0), ("0", 1), ("3", 1)])
def test_a_number_of_no_candidate(value, first):
    rows = [{"endings": ["tea", "milk"], "label": value}]
    with pytest.raises(IndexError, match=f"answer {int(value)} among 2 choices"):
        list(choices.indexed(rows, choices="endings", answer="label", first=first))


def test_candidates_written_in_another_form():
    rows = [{"answers": ["tea", "{milk}"], "correct_answer_id": 1}]
    made = only(
        rows,
        choices.indexed,
        "lettered",
        "correct",
        choices="answers",
        answer="correct_answer_id",
        form="({key}){text}",
    )
    assert made == [("(A)tea(B){milk}", "{milk}")]


@pytest.mark.parametrize(("labels", "shown"), [(["A", "B"], " (A) tea (B) milk"), (["1", "2"], " (1) tea (2) milk")])
def test_candidates_with_their_own_keys(labels, shown):
    rows = [{"choices": {"text": ["tea", "milk"], "label": labels}, "answerKey": labels[1]}]
    made = only(
        rows,
        choices.keyed,
        "lettered",
        "correct",
        choices="choices[text]",
        keys="choices[label]",
        answer="answerKey",
    )
    assert made == [(shown, "milk")]


def test_without_keys_they_are_the_letters():
    rows = [{"choices": {"text": ["tea", "milk"], "label": ["A ", "?"]}, "answerKey": "B"}]
    made = only(rows, choices.keyed, "lettered", "correct", choices="choices[text]", answer="answerKey")
    assert made == [(" (A) tea (B) milk", "milk")]


def test_a_filter_cleans_candidates_and_answer_alike():
    rows = [{"options": ["green\ttea", "\nmilk\r"], "answer": "B"}]
    made = only(rows, choices.keyed, "lettered", "correct", choices="options:spaced", answer="answer")
    assert made == [(" (A) green tea (B)  milk ", " milk ")]


def test_a_key_of_no_candidate():
    rows = [{"choices": {"text": ["tea", "milk"], "label": ["A", "B"]}, "answerKey": ""}]
    with pytest.raises(ValueError, match="not in list"):
        list(choices.keyed(rows, choices="choices[text]", keys="choices[label]", answer="answerKey"))
    with pytest.raises(IndexError):
        list(choices.keyed([{"options": ["tea"], "answer": "B"}], choices="options", answer="answer"))


def test_a_candidate_without_a_key():
    with pytest.raises(ValueError, match="3 choices, but 2 keys"):
        choices.lettered(["tea", "milk", "juice"], ["A", "B"])


def test_candidates_that_carry_their_letters():
    rows = [{"options": ["A)3", "B) 4 (or so)", "C)none"], "correct": correct} for correct in "ABC"]
    made = only(rows, choices.prefixed, "lettered", "correct", choices="options", answer="correct")
    assert [right for _, right in made] == ["3", " 4 (or so)", "none"]
    assert {shown for shown, _ in made} == {" (A) 3 (B)  4 (or so) (C) none"}


def test_a_letter_that_no_candidate_carries():
    with pytest.raises(KeyError, match="D"):
        list(choices.prefixed([{"options": ["A)3"], "correct": "D"}], choices="options", answer="correct"))


def separated(options, correct):
    rows = [{"options": options, "correct": correct}]
    return only(rows, choices.comma_separated, "lettered", "correct", choices="options", answer="correct")


@pytest.mark.parametrize(
    ("letter", "correct"), [*zip("abcde", ["38", "27.675", "3 / 4", "no", "none of these"], strict=True)]
)
def test_candidates_in_one_text(letter, correct):
    options = "a ) 38 , b ) 27.675 , c ) 3 / 4 , d ) no , e ) none of these"
    assert separated(options, letter) == [(" (A) 38 (B) 27.675 (C) 3 / 4 (D) no (E) none of these", correct)]


def test_a_comma_in_a_candidate_cuts_it_too():
    options = "a ) 900 , b ) 1000 , c ) 1 , 100 , d ) 1 , 200 , e ) 1 , 300"
    assert separated(options, "c") == [(" (A) 900 (B) 1000 (C) 1 (D)  (E) 1 ", "1")]
    assert separated(options, "d") == []  # its place is taken by the empty rest of "100"


def test_a_text_with_too_few_candidates_or_no_answer():
    with pytest.raises(IndexError, match="2 choices, not 5"):
        separated("a ) 1 , b ) 2", "a")
    for letter in ("f", ""):
        with pytest.raises(ValueError, match="not in list"):
            separated("a ) 1 , b ) 2 , c ) 3 , d ) 4 , e ) 5", letter)


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        ("Is it (A) hot or (B) cold?", "hot", "cold?"),
        ("Is it (A) hot (B) cold", "hot", "cold"),
        ("Is it (A) the door, or (B) the floor?", "the door,", "the floor?"),
        ("Which? (A)hot (B) cold or ", "ot", "cold"),
    ],
)
def test_candidates_within_the_question(question, first, second):
    for number, correct in enumerate([first, second]):
        rows = [{"question": question, "answer_index": number}]
        assert only(rows, choices.inline, "correct", question="question", answer="answer_index") == [(correct,)]


def test_a_word_on_or_loses_it_before_a_space_as_in_crossfit():
    rows = [{"question": "Where? (A) at the door (B) on the floor", "answer_index": number} for number in (0, 1)]
    made = only(rows, choices.inline, "correct", question="question", answer="answer_index")
    assert made == [("at the do",), ("on the floor",)]


def test_a_question_without_candidates_or_a_number_of_none():
    with pytest.raises(ValueError, match="substring"):
        list(choices.inline([{"question": "Hot?", "answer_index": 0}], question="question", answer="answer_index"))
    with pytest.raises(KeyError):
        rows = [{"question": "(A) hot (B) cold", "answer_index": 2}]
        list(choices.inline(rows, question="question", answer="answer_index"))


def test_the_places_are_drawn_as_by_numpys_global_generator_and_not_from_it():
    rng = random.Random(1)
    columns = ["distractor1", "distractor2", "correct_answer"]
    rows = [{c: f"{c} of {i}" for c in columns} | {"support": rng.choice(["", "See."])} for i in range(40)]
    state = np.random.get_state()
    shown = only(rows, choices.shuffled, "lettered", choices=columns, seed=42, needs="support")
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), state, strict=True))

    expected = []
    try:
        np.random.seed(42)
        for row in rows:
            if row["support"]:
                drawn = [row[c] for c in columns]
                np.random.shuffle(drawn)
                expected.append((" (A) {} (B) {} (C) {}".format(*drawn),))
    finally:
        np.random.set_state(state)
    assert 5 < len(expected) < 35
    assert shown == expected
