"""Supporting paragraphs, questions without an answer, and questions with several right candidates."""

import pytest

from mpt.data.catalogue.rows.reading import answerable, several_right, supporting

FIELDS = {"titles": "context[title]", "sentences": "context[sentences]", "facts": "supporting_facts[title]"}


def hop(*needed):
    """A row of the form of HotpotQA."""
    return {
        "context": {
            "title": ["Tea", "Milk", "Rain"],
            "sentences": [[" Tea is a drink.", " It is hot."], ["Milk is white. "], ["Rain is wet."]],
        },
        "supporting_facts": {"title": list(needed), "sent_id": [0] * len(needed)},
    }


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (["Rain", "Tea", "Tea"], "Tea is a drink. It is hot. Rain is wet."),
        (["Milk", "Rain"], "Milk is white.  Rain is wet."),
        (["Milk"], "Milk is white."),
        (["Snow"], ""),
        ([], ""),
    ],
)
def test_paragraphs_that_are_needed_are_joined_in_their_own_order(needed, text):
    row = hop(*needed)
    (made,) = supporting([row], **FIELDS)
    assert made == {**row, "supporting": text}
    assert "supporting" not in row


def test_titles_without_a_paragraph_are_an_error():
    row = hop("Tea")
    row["context"]["sentences"].pop()
    with pytest.raises(ValueError, match="zip"):
        list(supporting([row], **FIELDS))


def test_questions_without_an_answer_and_spoilt_passages_are_left_out():
    rows = [
        {"plot": "A man sails.", "no_answer": False},
        {"plot": "A man sails.", "no_answer": True},
        {"plot": "Too long. A man sails.", "no_answer": False},
        {"plot": "A man sails. Too long.", "no_answer": False},
        {"plot": "", "no_answer": False},
    ]
    made = list(answerable(rows, unanswerable="no_answer", text="plot", spoilt="Too long."))
    assert made == [rows[0], rows[3], rows[4]]


def candidate(question, answer, label):
    """A row of the form of MultiRC; one paragraph, whose place among others comes first in its index."""
    return {
        "paragraph": "Tea and coffee are hot.",
        "question": f"Question {question}?",
        "answer": answer,
        "idx": {"paragraph": 0, "question": question, "answer": 0},
        "label": label,
    }


OPTIONS = {"by": "idx[question]", "choice": "answer", "right": "label", "none": "NO ANSWER!"}


def test_candidates_of_a_question_become_one_row():
    rows = [
        candidate(7, "tea", 1),
        candidate(3, "ice", 0),
        candidate(7, "cold\nmilk", 0),
        candidate(3, "snow", 0),
        candidate(7, "black\tcoffee", 1),
    ]
    first, second = several_right(rows, **OPTIONS)
    assert (first["question"], first["options"]) == ("Question 7?", " (A) tea (B) cold milk (C) black coffee")
    assert first["correct"] == "tea [SEP] black\tcoffee"
    assert (second["question"], second["options"], second["correct"]) == (
        "Question 3?",
        " (A) ice (B) snow",
        "NO ANSWER!",
    )
    assert "options" not in rows[0]


def test_a_right_candidate_that_is_empty_is_an_answer():
    (made,) = several_right([candidate(1, "", 1)], **OPTIONS)
    assert made["correct"] == ""


def test_more_candidates_than_letters_are_an_error():
    with pytest.raises(ValueError, match="27 choices, but 26 keys"):
        list(several_right([candidate(1, str(number), 0) for number in range(27)], **OPTIONS))
