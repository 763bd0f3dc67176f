"""A task in another language: every draw, whole or not at all, and nothing translated twice."""

from __future__ import annotations

import hashlib

import pytest
from support.toy import Mpt, write_toy

from mpt.data.build import translated
from mpt.data.build.translated import write_translated
from mpt.data.fewshot.files import read_tsv
from mpt.util.errors import UserError


@pytest.fixture
def root(tmp_path):
    return write_toy(tmp_path / "data")


def upper(texts):
    return [text.upper() + " \n!" for text in texts]


def rows(root, task):
    return {file.name.removeprefix(task): read_tsv(file) for file in sorted((root / task).iterdir())}


@pytest.mark.parametrize("sides", [("inputs", "outputs"), ("inputs",), ("outputs",)])
def test_every_text_of_every_file_is_translated(root, sides):
    told = []
    count = write_translated(root, "toy", "laut", upper, sides, told=lambda *numbers: told.append(numbers))
    before, after = rows(root, "toy"), rows(root, "laut")
    assert list(before) == list(after) and len(before) >= 3
    for name, examples in before.items():
        for one, other in zip(examples, after[name], strict=True):
            assert other.input == (f"{one.input.upper()} !" if "inputs" in sides else one.input)
            outputs = tuple(f"{text.upper()} !" if "outputs" in sides else text for text in one.targets)
            assert other.targets == outputs
    assert told[0] == (0, count) and told[-1] == (count, count)
    assert sorted(path.name for path in root.iterdir()) == ["laut", "toy"]


def test_what_is_stopped_goes_on(root, monkeypatch):
    monkeypatch.setattr(translated, "AT_ONCE", 2)
    asked = []

    def fails(texts):
        if len(asked) >= 4:
            raise KeyboardInterrupt
        asked.extend(texts)
        return upper(texts)

    for end in ('["cut', ""):  # a kill in the middle of a line, and a stop after that
        with pytest.raises(KeyboardInterrupt):
            write_translated(root, "toy", "laut", fails, by="one")
        assert not (root / "laut").exists()
        (kept,) = root.glob(".laut.*")
        with kept.open("a") as file:
            file.write(end)
    again = []
    count = write_translated(root, "toy", "laut", lambda texts: again.extend(texts) or upper(texts), by="one")
    assert len(asked) == 4 and len(again) == count - 4 and not set(asked) & set(again)
    assert not list(root.glob(".laut*"))
    write_translated(root, "toy", "leise", upper)
    assert rows(root, "leise") == rows(root, "laut")


def test_an_output_that_comes_out_empty_is_told_and_nothing_is_left_of_a_translator_that_fails(root):
    with pytest.raises(UserError, match=r"translation of the output 'yes' is empty; try another --model"):
        write_translated(root, "toy", "laut", lambda texts: ["" if text == "yes" else text for text in texts])
    assert not (root / "laut").exists()

    def fails(texts):
        raise UserError("no such model")

    with pytest.raises(UserError, match="no such model"):
        write_translated(root, "toy", "leise", fails)
    assert not list(root.glob(".leise*"))


@pytest.mark.parametrize("damage", ["[1, 2]", "[", '["a"]', "null", r'["a", "\ud800"]'])
def test_a_damaged_file_of_what_is_translated_is_named(root, damage, monkeypatch):
    monkeypatch.setattr(translated, "AT_ONCE", 2)
    parts = iter([["A", "B"]])
    with pytest.raises(StopIteration):
        write_translated(root, "toy", "laut", lambda _: next(parts), by="one")
    (kept,) = root.glob(".laut.*")
    kept.write_text(f'["a", "b"]\n{damage}\n')
    with pytest.raises(
        UserError, match=rf"{kept.name}, line 2 is no translation: .*; remove the file, and the command"
    ):
        write_translated(root, "toy", "laut", upper, by="one")


def test_another_translator_begins_anew(root, monkeypatch):
    monkeypatch.setattr(translated, "AT_ONCE", 2)
    parts = iter([["A", "B"]])
    with pytest.raises(StopIteration):
        write_translated(root, "toy", "laut", lambda _: next(parts), by="one")
    asked = []
    count = write_translated(root, "toy", "laut", lambda texts: asked.extend(texts) or upper(texts), by="two")
    assert len(asked) == count


def test_mistakes_are_told(root):
    for task, name, complaint in (
        ("toys", "laut", "no task 'toys'"),
        ("toy", "toy", "is there already"),
        ("toy", "../laut", "cannot be the name of a folder"),
    ):
        with pytest.raises(UserError, match=complaint):
            write_translated(root, task, name, upper)


def test_a_link_where_the_work_lies_is_not_written_through(root, tmp_path):
    outside = tmp_path / "outside"
    (root / f".laut.{hashlib.sha256(b'one').hexdigest()[:8]}.jsonl").symlink_to(outside)
    with pytest.raises(UserError, match=r"\.laut\..*\.jsonl is a link"):
        write_translated(root, "toy", "laut", upper, by="one")
    assert not outside.exists() and not (root / "laut").exists()


@pytest.mark.long
def test_the_command(root, capsys, model_folder):
    ended = Mpt(capsys)(
        "data", "translate", "toy", "laut", "--root", root, "--model", model_folder("t5"), "--only", "inputs",
        "--longest", 6, "--ask", "say: ",
    )  # fmt: skip
    assert ended.code == 0 and "texts" in ended.out
    assert [one.targets for one in rows(root, "laut")["_16_13_dev.tsv"]] == [
        one.targets for one in rows(root, "toy")["_16_13_dev.tsv"]
    ]
    ended = Mpt(capsys)("data", "translate", "toy", "leise", "--root", root, "--model", root / "nowhere")
    assert ended.code == 2 and "nowhere" in ended.err and not (root / "leise").exists()
    assert ended.err.count("\n") == 1
