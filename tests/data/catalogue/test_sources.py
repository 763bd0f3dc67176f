"""Rows as today's sources have them, and the records that CrossFit made of them in its day."""

import pytest

from mpt.data.tasks.known import catalogue


def records(task, *rows):
    return [tuple(record) for record in catalogue()[task].recipe.records(rows, task)]


def test_wiki_auto_of_the_partly_aligned():
    rows = [{"normal_sentence": "a", "simple_sentence": "b", "alignment_label": label} for label in (2, 0, 1)]
    assert [output for _, output in records("wiki_auto", *rows)] == ["aligned", "notAligned", "aligned"]


def test_squad_without_spaces_at_the_ends_and_each_answer_once():
    row = {"question": " Who? ", "context": "a\n b", "answers": {"text": ["Ann ", "Ann", " Bo"], "answer_start": [0]}}
    assert records("squad-no_context", row) == [("question: Who?", "Ann\tBo")]
    assert records("squad-with_context", row) == [("question: Who? context: a b", "Ann\tBo")]


def test_race_by_the_names_of_its_files():
    rows = [
        {"example_id": name, "article": "x", "answer": "A", "question": question, "options": ["a", "b"]}
        for name, question in (("high9.txt", "1"), ("high10.txt", "2"), ("high9.txt", "3"))
    ]
    for task in ("race-high", "race-middle"):
        assert [input[0] for input, _ in records(task, *rows)] == ["2", "1", "3"]


def test_google_re_by_relation():
    templates = ("[X] died in [Y] .", "[X] was born in [Y] .", "[X] (born [Y]).", "[X] was born in [Y] .")
    rows = [{"template": text, "sub_label": "Kari", "obj_label": str(at)} for at, text in enumerate(templates)]
    assert [output for _, output in records("lama-google_re", *rows)] == ["2", "1", "3", "0"]


@pytest.mark.parametrize("task", ["imdb", "xsum", "lama-trex", "multi_news", "kilt_wow", "onestop_english"])
def test_a_source_that_has_changed_says_so(task):
    assert "its checksums" in catalogue()[task].recipe.note
