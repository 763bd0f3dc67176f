"""Texts among a run's options arrive as they were written, whatever YAML would make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.changes import changed
from support.toy_study import STUDY, write_study

from mpt.fit.parse import make_run, parse_run
from mpt.fit.texts import texts
from mpt.record.options import as_words
from mpt.study.plan.grid import plan
from mpt.study.spec.study import load_study

NASTY = [
    "Which emotion does it show: happy, sad?",
    "- first: one",
    "{premise: x}",
    "[a, b]",
    "# no comment",
    "two\nlines: here",
    'yes: "no"',
    "a=b --c",
    "12",
    "1.5",
    "true",
    "~",
    "",
]
RUN = ["fit", "--config=prompt_tuning", "--data.task=syn-sentiment-review"]


def test_texts_of_a_study_reach_the_run(tmp_path):
    given = {f"task{number}": text for number, text in enumerate(NASTY)}
    init = {"model.init": "FromText", "model.init.text": given}
    study = write_study(tmp_path, "mpt-tiny", changed(STUDY, {("methods", "PT", "downstream", "overrides"): init}))
    run = next(run for run in plan(load_study(study), tmp_path / "out") if run.method == "PT")
    parsed = parse_run(run.arguments)
    assert {name: parsed[f"model.init.text.{name}"] for name in given} == given
    assert {name: run.resolved[f"model.init.text.{name}"] for name in given} == given


@pytest.mark.parametrize("text", [text for text in NASTY if not text.startswith("{")])
def test_one_text_for_all(text):
    words = as_words({"model.init": "FromText", "model.init.text": text})
    assert parse_run([*RUN, *words])["model.init.text"] == text


def test_on_the_command_line_as_two_words(tmp_path: Path):
    shape = ["--model.init", "FromText", "--model.init.text.a", "Which: b?", "--model.init.init_args.text.b", "12"]
    made = make_run([*RUN, *shape, f"--trainer.default_root_dir={tmp_path}", "--data.labels_as.good", "well: done"])
    assert made.learner.init.text == {"a": "Which: b?", "b": "12"}
    assert made.data.labels_as == {"good": "well: done"}


def test_a_mapping_in_one_word_is_one():
    words = as_words({"model.init": "FromText", "model.init.text": {"a": "b: c"}})
    assert parse_run([*RUN, *words])["model.init.text.a"] == "b: c"


def test_other_options_are_none():
    words = ["--model.prompt_length=5", "--data.labels_as", "{a: b}", "--trainer.max_steps=3", "--model.init=Uniform"]
    assert list(texts(words)) == []
