"""Questions to ask in twelve languages, from XQuAD's parallel paragraphs (Artetxe et al. 2020).

A folder holds ``<language>.jsonl`` for each language, a paragraph a line:
``{title, context, qas: [{question, answer, answer_start}]}``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpt.data.catalogue.filters import clean
from mpt.data.fewshot.files import write_tsv
from mpt.data.tasks.sampling import shuffled
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.files import new_folder
from mpt.util.reading import is_writable, lines_of, open_file, parse_json, why_unread
from mpt.util.stable_random import StableRandom

KINDS = ("questions", "text")

LONGEST_SENTENCE = 300
"""Characters of a sentence's text that are kept around its answer: Thai has no mark that ends a sentence."""

_LANGUAGE = re.compile(r"[\w-]+")
"""It is a part of a task's name, which folders have and screens show."""
_END = re.compile(r"(?<=[.!?;؟।])\s+|(?<=[。！？])")


@dataclass(frozen=True)
class Paragraph:
    """One paragraph: its article, its text, and what is asked about it, from an answer to its question."""

    title: str
    text: str
    questions: tuple[Example, ...]


def write_questions(folder: Path, root: Path, languages: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Make ``xquad-questions-<language>`` and ``xquad-text-<language>`` under a data root, with k = all.

    The articles are divided in every language alike, so that what is tested in one was read in none: a sixth is test,
    the same in all draws, and of the others a draw takes a sixth of all for dev. A question's input is
    ``answer: … context: …``, with the sentence around the answer; the text is the paragraphs of the same articles, its
    test list its dev list.

    Args:
        folder: of the paragraphs.
        root: the data folder.
        languages: such as ``en``; all of the folder if empty.
        seeds: of the draws.

    Returns:
        The names of the tasks.

    Raises:
        UserError: a language that the folder lacks, or whose name is none; a task that is there already; a line of
            another form, by file; languages whose articles are not the same.
    """
    there = sorted(file.stem for file in folder.glob("*.jsonl")) if folder.is_dir() else []
    if odd := [name for name in there if not _LANGUAGE.fullmatch(name)]:
        raise UserError(f"{folder}: {odd[0]!r} names no language (letters, numbers, - and _); rename the file.")
    if not there:
        raise UserError(f"{folder} holds no file <language>.jsonl of paragraphs.")
    if missing := [language for language in languages if language not in there]:
        raise UserError(f"{folder} has {', '.join(there)}; paragraphs in {', '.join(missing)} are not there.")
    chosen = list(dict.fromkeys(languages or there))
    names = [f"xquad-{kind}-{language}" for language in chosen for kind in KINDS]
    for name in names:
        if os.path.lexists(root / name):
            raise UserError(f"{root / name} is there already; choose another --root, or remove it.")
    read = {language: _paragraphs(folder / f"{language}.jsonl") for language in chosen}
    articles = {language: {paragraph.title for paragraph in paragraphs} for language, paragraphs in read.items()}
    for language, own in articles.items():
        if odd := sorted(own ^ articles[chosen[0]]):
            raise UserError(
                f"{folder}: {chosen[0]}.jsonl and {language}.jsonl are of other articles, by their title "
                f"({odd[0]!r} is in one alone); parallel files divide alike, so that nothing of a test is read in "
                "another language"
            )
    titles = sorted(articles[chosen[0]])
    if len(titles) < 3:
        raise UserError(
            f"{folder} has paragraphs of {len(titles)} articles; train, dev and test want one each, or more."
        )
    draws = {seed: _divided(titles, seed) for seed in seeds}
    try:
        with ExitStack() as whole:  # the folders appear when all are written
            for language, paragraphs in read.items():
                for kind in KINDS:
                    name = f"xquad-{kind}-{language}"
                    fresh = whole.enter_context(new_folder(root / name))
                    _write(fresh, name, paragraphs, draws, unlabelled=kind == "text")
    except BaseException:
        for name in names:
            shutil.rmtree(root / name, ignore_errors=True)
        raise
    return names


def sentence_around(text: str, start: int, end: int) -> str:
    """The sentences that the characters from start to end stand in; of more than :data:`LONGEST_SENTENCE` characters
    the words around them."""
    cuts = [0, *(cut.end() for cut in _END.finditer(text)), len(text)]
    first = max(cut for cut in cuts if cut <= start)
    last = min(cut for cut in cuts if cut >= end)
    spare = max(0, LONGEST_SENTENCE - (end - start)) // 2
    if start - first > spare:
        first = min(text.find(" ", start - spare, start) + 1 or start - spare, start)
    if last - end > spare:
        last = max(text.rfind(" ", end, end + spare), end) if " " in text[end : end + spare] else end + spare
    return clean(text[first:last])


def _divided(titles: Sequence[str], seed: int) -> dict[str, str]:
    """The part that each article is in: test by its title alone, dev and train by the seed."""
    order = sorted(titles, key=lambda title: StableRandom("test article", title).below(2**32))
    held = max(1, len(order) // 6)
    rest = shuffled(sorted(order[held:]), seed)
    return {**dict.fromkeys(rest, "train"), **dict.fromkeys(rest[:held], "dev"), **dict.fromkeys(order[:held], "test")}


def _write(
    folder: Path, name: str, paragraphs: Sequence[Paragraph], draws: dict[int, dict[str, str]], unlabelled: bool
) -> None:
    for seed, part in draws.items():
        for split in ("train", "dev", "test"):
            held = "dev" if unlabelled and split == "test" else split
            chosen = [paragraph for paragraph in paragraphs if part[paragraph.title] == held]
            examples = [
                example
                for paragraph in chosen
                for example in ((Example("", (paragraph.text,)),) if unlabelled else paragraph.questions)
            ]
            write_tsv(folder / f"{name}_all_{seed}_{split}.tsv", examples)


def _paragraphs(path: Path) -> list[Paragraph]:
    found: list[Paragraph] = []
    try:
        with open_file(path) as file:
            for line in lines_of(file):
                found.append(_paragraph(parse_json(line.decode("utf-8"))))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {why_unread(error)}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}, line {len(found) + 1} is no paragraph of XQuAD: title, context and qas, each of these with "
            "question, answer and answer_start, where the answer stands in the context."
        ) from error
    if not found:
        raise UserError(f"{path} holds no paragraph.")
    return found


def _paragraph(record: Any) -> Paragraph:
    text = record["context"]
    if not _read(text) or not is_writable(text):
        raise ValueError
    questions = []
    for asked in record["qas"]:
        answer, start = asked["answer"], asked["answer_start"]
        if type(start) is not int or start < 0 or not answer or not text.startswith(answer, start):
            raise ValueError
        sentence = sentence_around(text, start, start + len(answer))
        if not _read(asked["question"]) or not is_writable(asked["question"]):
            raise ValueError
        questions.append(Example(_read(f"answer: {answer} context: {sentence}"), (_read(asked["question"]),)))
    return Paragraph(_read(record["title"]), _read(text), tuple(questions))


def _read(text: str) -> str:
    """A text in one line, without the marks of byte order that some of the translations hold."""
    return clean(text.replace("\ufeff", ""))
