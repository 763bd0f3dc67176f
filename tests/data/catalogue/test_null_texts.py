"""A null where a text should be is an empty text, never the word None."""

import pytest

from mpt.data.catalogue.rows import choices, tables
from mpt.data.catalogue.template import Template
from mpt.data.tasks.known import catalogue


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("summarize: {said}", ["summarize: "]),
        ("{said:clean}", [""]),
        ("{all}", ["a", "", "b"]),
        ("{all:strip|distinct}", ["a", "", "b"]),
        ("{all:joined}", ["a  b"]),
        ("{deep[said]}", [""]),
    ],
)
def test_in_a_template(template, texts):
    row = {"said": None, "all": ["a", None, "b"], "deep": {"said": None}}
    assert Template.of(template).render_all(row) == texts


@pytest.mark.parametrize("listed", [{"choices": "all"}, {"choices": ["first", "second"]}])
def test_among_candidates(listed):
    row = {"all": ["tea", None], "first": "tea", "second": None, "answer": 1}
    [made] = choices.indexed([row], answer="answer", **listed)
    assert (made["lettered"], made["correct"]) == (" (A) tea (B) ", "")


def test_in_a_table_and_in_an_act():
    [made] = tables.facts([{"names": [None], "values": [None]}], names="names", values="values")
    assert made["facts"] == ":  [n] "
    [made] = tables.acts([{"acts": [{"act": 0, "slot": None, "values": ["low"]}]}], items="acts", names=["INFORM"])
    assert made["acts"] == "INFORM(low)"


def test_samsums_null_dialogue():
    rows = [{"id": "1", "dialogue": None, "summary": "Nothing was said."}]
    assert list(catalogue()["samsum"].recipe.records(rows, "samsum")) == [("summarize: ", "Nothing was said.")]
