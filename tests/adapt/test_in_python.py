"""``mpt.adapt``: the same prompt as from the command, whether the examples stand in a file, a frame or a list."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from support.toy import Mpt

import mpt
from mpt.adapt.run import AdaptOptions
from mpt.data.fewshot.files import load_fewshot
from mpt.library.library import Library
from mpt.util.errors import UserError

TASK = "syn-size-caption"
OPTIONS = mpt.BackboneOptions(max_target_length=4)
CHOICES = AdaptOptions(steps=10, every=5, top=1)


class FrameLike:
    """What pandas' frames have in common with those of others."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows

    def to_dict(self, orient: str) -> list[dict[str, str]]:
        assert orient == "records"
        return self.rows


NA = type("NAType", (), {"__str__": lambda self: "<NA>"})()
"""A missing value, as pandas has it."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, shipped = tmp_path_factory.mktemp("library") / "one", Library.open("synthetic")
    shutil.copytree(shipped.folder / "prompts" / "syn-size-ad-13", folder / "prompts" / "syn-size-ad-13")
    shutil.copy(shipped.folder / "library.json", folder)
    return folder


def pairs(split: str) -> list[tuple[str, str]]:
    return [(row.input, row.targets[0]) for row in getattr(load_fewshot("synthetic", TASK, 13), split)]


@pytest.mark.long
def test_pairs_a_frame_and_the_command_give_the_same_prompt(library, tmp_path, capsys):
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    for path, split in ((train, "train"), (dev, "dev")):
        path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in pairs(split)))
    words = ("--steps", 10, "--every", 5, "--top", 1, "--max-target-length", 4, "--device", "cpu")
    Mpt(capsys)("adapt", train, "--dev", dev, "--library", library, "--out", tmp_path / "command", *words)
    wanted = mpt.load_prompt(tmp_path / "command").weight

    given = {"library": library, "options": OPTIONS, "choices": CHOICES, "device": "cpu", "progress": False}
    found = mpt.adapt(pairs("train"), out=tmp_path / "pairs", dev=pairs("dev"), **given)
    assert torch.equal(mpt.load_prompt(tmp_path / "pairs").weight, wanted)
    assert torch.equal(found.chosen.tuned.value, wanted)

    frames = [
        FrameLike([{"body": text, "kind": label, "n": 1.5} for text, label in pairs(s)]) for s in ("train", "dev")
    ]
    mpt.adapt(frames[0], out=tmp_path / "frame", dev=frames[1], input="body", output="kind", **given)
    assert torch.equal(mpt.load_prompt(tmp_path / "frame").weight, wanted)
    assert "step" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        ([("a", "b", "c")], {}, "train, row 1: a pair of input and output was expected"),
        ([], {}, "^train is empty"),
        ([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")], {"labels": ["x", "z"]}, "^train, row 2: the label 'y'"),
        ([("a", "x")] * 9, {"labels": "xy"}, "labels must be a list of texts, not the text 'xy'"),
        ([("a", "x")] * 9, {"input": 1, "output": 5}, "has no key '1' for --input"),
        ([("a", "x")] * 9, {"colour": "red"}, "colour"),
        ([{"text": "a", "label": "x"}], {"input": "txt"}, "did you mean text"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": NA}] * 2, {}, "has 1 different example;"),
    ],
)
def test_what_cannot_be_learned_from_is_told(library, tmp_path, rows, options, told):
    with pytest.raises(UserError, match=told):
        mpt.adapt(rows, library, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_folder_of_the_prompt_has_to_be_given():
    with pytest.raises(UserError, match="out must be given"):
        mpt.adapt([("a", "x")])


def test_a_folder_that_holds_something_is_left(library, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists; name another"):
        mpt.adapt([("a", "x")], library, tmp_path)


@pytest.mark.long
def test_as_many_vote_as_were_asked_for_though_the_library_has_fewer(library, tmp_path):
    choices = AdaptOptions(steps=1, every=1, top=3, ensemble=5)
    given = {"options": OPTIONS, "choices": choices, "device": "cpu", "progress": False}
    found = mpt.adapt(pairs("train"), library, tmp_path / "out", dev=pairs("dev"), **given)
    assert found.together is not None and len(found.together.members) == 5


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"steps": 2.5}, "--steps must be a whole number of at least 1, not 2.5"),
        ({"ensemble": 0}, "--ensemble must be a whole number of at least 1, not 0"),
        ({"prompt_length": 0}, "--prompt-length must be a whole number of at least 1, not 0"),
        ({"exclude": "a"}, "exclude must be a list of texts, not the text 'a'"),
        ({"every": 301}, "--every 301 is more than the 300 of --steps"),
    ],
)
def test_a_choice_that_is_none_is_told(choices, told):
    with pytest.raises(UserError, match=re.escape(told)):
        AdaptOptions(**choices)
