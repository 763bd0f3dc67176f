"""Tasks of questions from parallel paragraphs: what is read, where a sentence ends, what no other language may show."""

from __future__ import annotations

import errno
import json
import os
import re
from itertools import chain
from pathlib import Path

import pytest

from mpt.data.build import xquad
from mpt.data.build.xquad import LONGEST_SENTENCE, sentence_around, write_questions
from mpt.data.fewshot.files import load_fewshot, read_tsv, write_tsv
from mpt.util.errors import UserError


def asked(context: str, answer: str, question: str = "Which?") -> dict:
    return {"question": question, "answer": answer, "answer_start": context.index(answer)}


def write(folder: Path, language: str, articles: int = 6, word: str = "tea") -> Path:
    folder.mkdir(exist_ok=True)
    lines = []
    for number in range(articles):
        context = f"One stood here. {word} {number} was\u2028there! Nobody knew."
        lines.append(
            {"title": f"t{number}", "context": context, "qas": [asked(context, f"{word} {number}", f"{word}?\t")]}
        )
    (folder / f"{language}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_draw_divides_the_articles_in_all_languages_alike(tmp_path):
    folder = write(write(tmp_path / "in", "en"), "xx", word="чай")
    names = write_questions(folder, tmp_path / "out", [], (13, 21))
    assert names == ["xquad-questions-en", "xquad-text-en", "xquad-questions-xx", "xquad-text-xx"]
    seen = {}
    for language, word in (("en", "tea"), ("xx", "чай")):
        for seed in (13, 21):
            draw = load_fewshot(tmp_path / "out", f"xquad-questions-{language}", seed, metric="SP-ROUGE")
            parts = [getattr(draw, split) for split in ("train", "dev", "test")]
            assert [len(part) for part in parts] == [4, 1, 1] and draw.k == "all"
            numbers = [[int(re.search(r"\d", one.input).group()) for one in part] for part in parts]
            assert sorted(chain(*numbers)) == list(range(6))
            assert seen.setdefault(seed, numbers) == numbers
            assert seen[13][2] == numbers[2]  # nothing of a test is read by another draw's prompt either
            one = parts[0][0]
            assert one.input == f"answer: {word} {numbers[0][0]} context: {word} {numbers[0][0]} was there!"
            assert one.targets == (f"{word}?",)
            text = load_fewshot(tmp_path / "out", f"xquad-text-{language}", seed, metric="SP-ROUGE")
            assert text.train[0].targets == (f"One stood here. {word} {numbers[0][0]} was there! Nobody knew.",)
            assert text.dev == text.test and [len(text.train), len(text.dev)] == [4, 1]
    assert seen[13] != seen[21]


def test_languages_of_other_articles_are_refused_and_one_less_moves_no_other(tmp_path):
    folder = write(write(tmp_path / "in", "en", articles=24), "xx", articles=23, word="чай")
    with pytest.raises(UserError, match=r"en.jsonl and xx.jsonl are of other articles.*'t23'"):
        write_questions(folder, tmp_path / "out", [], (13,))
    assert not (tmp_path / "out").exists()
    tested = []
    for language in ("en", "xx"):
        write_questions(folder, tmp_path / "out", [language], (13,))
        draw = load_fewshot(tmp_path / "out", f"xquad-questions-{language}", 13, metric="SP-ROUGE")
        tested.append({re.search(r"\d+", one.input).group() for one in draw.test})
    assert len(tested[0]) == 4 and len(tested[0] - tested[1]) <= 1


def test_marks_of_byte_order_are_no_text(tmp_path):
    folder = write(tmp_path / "in", "en", word="\ufefftea")
    write_questions(folder, tmp_path / "out", [], (13,))
    draw = load_fewshot(tmp_path / "out", "xquad-questions-en", 13, metric="SP-ROUGE")
    assert draw.train[0].input.startswith("answer: tea ") and draw.train[0].targets == ("tea?",)


@pytest.mark.parametrize(
    ("text", "answer", "sentence"),
    [
        ("A b. C d? E", "C", "C d?"),
        ("A b. C d? E", "b", "A b."),
        ("A b. C d? E", "E", "E"),
        ("A b. C d? E", "b. C", "A b. C d?"),
        ("It is 3.5 m. So", "3.5", "It is 3.5 m."),
        ("一二。三四！五", "四", "三四！"),
        ("एक दो। तीन चार", "चार", "तीन चार"),
        ("هل هذا؟ نعم", "نعم", "نعم"),
    ],
)
def test_a_sentence_ends_where_its_script_ends_it(text, answer, sentence):
    start = text.index(answer)
    assert sentence_around(text, start, start + len(answer)) == sentence


@pytest.mark.parametrize("text", ["ก " * 900 + "ข " + "ค " * 900, "ก" * 900 + "ข" + "ค" * 900])
def test_what_has_no_end_is_cut_around_the_answer(text):
    start = text.index("ข")
    sentence = sentence_around(text, start, start + 1)
    assert "ข" in sentence and LONGEST_SENTENCE - 5 <= len(sentence) <= LONGEST_SENTENCE + 1
    long = sentence_around(text, 10, 1000)
    assert long == text[10:1000].strip()


def spoiled(**changes: object) -> str:
    context = "A tea. B"
    record = {"title": "t", "context": context, "qas": [asked(context, "tea") | changes]}
    return json.dumps(record)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{}",
        "no json",
        json.dumps({"title": 1, "context": "", "qas": []}),
        json.dumps({"title": "t", "context": "a", "qas": 3}),
        spoiled(answer_start=0),
        spoiled(answer_start=-6),
        spoiled(answer_start="2"),
        spoiled(answer=""),
        spoiled(question=None),
        spoiled(question=" "),
        spoiled(question="\ud800"),
        json.dumps({"title": "t", "context": "\ud800", "qas": []}),
    ],
)
def test_a_line_of_another_form_is_named(line, tmp_path):
    folder = write(tmp_path / "in", "en")
    with (folder / "en.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"en\.jsonl, line 7 is no paragraph"):
        write_questions(folder, tmp_path / "out", [], (13,))
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_and_what_is_already(tmp_path):
    folder = write(tmp_path / "in", "en")
    with pytest.raises(UserError, match=r"has en; paragraphs in th, vi are not there"):
        write_questions(folder, tmp_path / "out", ["en", "th", "vi"], (13,))
    for empty in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"holds no file <language>\.jsonl"):
            write_questions(empty, tmp_path / "out", [], (13,))
    (write(tmp_path / "none", "en") / "th.jsonl").touch()
    with pytest.raises(UserError, match=r"th\.jsonl holds no paragraph"):
        write_questions(tmp_path / "none", tmp_path / "out", [], (13,))
    with pytest.raises(UserError, match="of 2 articles"):
        write_questions(write(tmp_path / "few", "en", articles=2), tmp_path / "out", [], (13,))
    assert not (tmp_path / "out").exists()
    write_questions(folder, tmp_path / "out", ["en", "en"], (13,))
    with pytest.raises(UserError, match="xquad-questions-en is there already"):
        write_questions(folder, tmp_path / "out", [], (13,))


def test_the_real_paragraphs_become_parallel_tasks(tmp_path):
    shared = os.environ.get("MPT_SHARED")
    if not shared or not Path(shared, "xgen/xquad").is_dir():
        pytest.skip("MPT_SHARED names no folder with xgen/xquad")
    write_questions(Path(shared, "xgen/xquad"), tmp_path, [], (13,))
    counts = {}
    for folder in sorted(tmp_path.glob("xquad-questions-*")):
        language = folder.name.rpartition("-")[2]
        parts = [read_tsv(folder / f"{folder.name}_all_13_{split}.tsv") for split in ("train", "dev", "test")]
        counts[language] = tuple(map(len, parts))
        for one in chain(*parts):
            answer, _, context = one.input.removeprefix("answer: ").partition(" context: ")
            assert answer in context and one.targets[0]
            assert len(context) <= LONGEST_SENTENCE + len(answer)
    assert len(counts) == 12 and len(set(counts.values())) == 1
    assert sum(counts["th"]) == 1190


@pytest.mark.parametrize("good", [0, 1, 7])
def test_all_tasks_appear_or_none_and_the_same_command_goes_on(good, tmp_path, monkeypatch):
    folder, root = write(write(tmp_path / "in", "en"), "xx"), tmp_path / "out"
    (root / "mine").mkdir(parents=True)
    done = []

    def full(path, examples):
        if len(done) == good:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        done.append(write_tsv(path, examples))

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"out/xquad-[a-z]+-[enx]+'$"):
        patch.setattr(xquad, "write_tsv", full)
        write_questions(folder, root, [], (13,))
    assert [path.name for path in root.iterdir()] == ["mine"] and len(done) == good
    assert len(write_questions(folder, root, [], (13,))) == 4 and len([*root.iterdir()]) == 5


def test_a_name_that_no_language_has_is_refused(tmp_path):
    folder = write(write(tmp_path / "in", "en"), "pt-BR")
    assert len(write_questions(folder, tmp_path / "out", [], (13,))) == 4
    write(folder, "\x1b[2J")
    with pytest.raises(UserError, match=r"'\\x1b\[2J' names no language") as told:
        write_questions(folder, tmp_path / "other", ["en"], (13,))
    assert str(told.value).isprintable() and not (tmp_path / "other").exists()
