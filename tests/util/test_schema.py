"""Values of a file by key and kind, and each mistake in one sentence by line and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import pytest

from mpt.util.errors import UserError
from mpt.util.schema import FromFile, Text, Texts, adapter, as_text, listed, one_of, read_values, shown, whole

GOOD = "# A toy\ntext: x\ntexts: [x, y]\n"


@dataclass(frozen=True)
class Part(FromFile):
    """A mapping in a mapping."""

    size: Annotated[int, whole(1, 9)]
    word: Annotated[str, one_of(("up", "down"))] = "up"


@dataclass(frozen=True)
class Toy(FromFile):
    """A file with a value of each kind."""

    name: str
    text: Text
    texts: Texts
    flag: bool = False
    count: int = 0
    share: float = 0.5
    k: Annotated[int | Literal["all"], whole(1, word="all")] = "all"
    seeds: Annotated[tuple[int, ...], listed("whole numbers", least=0)] = ()
    part: Part | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    about: str = ""

    HIDDEN: ClassVar = ("name", "about")
    MISPLACED: ClassVar = {"old": "is called text now"}


def read(folder: Any, text: str) -> Toy:
    path = folder / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return read_values(path, "toy file", Toy, name="toy")


def test_values_of_their_kinds(tmp_path):
    assert read(tmp_path, GOOD) == Toy("toy", "x", ("x", "y"), about="A toy")
    more = "flag: yes\ncount: 3\nshare: 1\nk: 16\nseeds: [1, 2]\npart: {size: 9}\nparts: {a: {size: 1, word: down}}\n"
    assert read(tmp_path, GOOD + more) == Toy(
        "toy", "x", ("x", "y"), True, 3, 1.0, 16, (1, 2), Part(9), {"a": Part(1, "down")}, "A toy"
    )


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("flag: 1", ", line 4: flag is true or false, not 1."),
        ("count: 0.5", ", line 4: count must be a whole number, not 0.5."),
        ("count: true", ", line 4: count must be a whole number, not true."),
        ("count: '3'", ", line 4: count must be a whole number, not '3'."),
        ("share: true", ", line 4: share must be a number, not true."),
        ("share: x", ", line 4: share must be a number, not 'x'."),
        ("k: 0", ", line 4: k must be a whole number of at least 1, or the word all, not 0."),
        ("k: most", ", line 4: k must be a whole number of at least 1, or the word all, not 'most'."),
        ("seeds: 3", ", line 4: seeds must be a list of whole numbers, not 3."),
        ("seeds: [3, x]", ", line 4: each of seeds must be a whole number, not 'x'."),
        ("seeds: [3, 4, 3]", ", line 4: seeds names 3 twice."),
        ("part: 3", ", line 4: part must be a mapping with the keys size, not 3."),
        ("part: {}", ", line 4: part has no key size."),
        ("part:\n  size: 10", ", line 5: part.size must be a whole number from 1 to 9, not 10."),
        ("part:\n  size: 1\n  word: on", ", line 6: part.word must be a text, not true: put it in quotes."),
        ("part:\n  size: 1\n  word: upp", ", line 6: part.word is one of up, down, not 'upp'."),
        ("part:\n  sise: 1", ", line 4: part has the unknown key sise; did you mean size?"),
        ("parts: {a: {size: 1}, b: {z: 1}}", ", line 4: parts.b has the unknown key z; known are size, word."),
        ("parts: {3: {size: 1}}", ", line 4: parts: the key 3 must be a text, not 3: put it in quotes."),
        ("cuont: 1", ": it has the unknown key cuont; did you mean count?"),
        ("name: x", ": it has the unknown key name; known are count, flag, k, part"),
        ("3: x", ": it has the unknown key 3; known are"),
        ("old: x", ": old is called text now."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_its_line_and_key(tmp_path, more, complaint):
    with pytest.raises(UserError) as raised:
        read(tmp_path, f"{GOOD}{more}\n")
    told = str(raised.value)
    assert told.startswith(f"The toy file {tmp_path}/toy.yaml{complaint}") and "\n" not in told


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("text: x", "the key texts is missing."),
        ("[a]", "it must be a mapping with the keys text, texts, not a list."),
        ("", "it must be a mapping with the keys text, texts, not nothing."),
        ("texts: [x]\ntext: ''", "line 2: text must not be empty."),
        ("texts: [x]\ntext:", "line 2: text must be a text, not nothing."),
        ("texts: abc\ntext: x", "line 1: texts must be a list of texts, not 'abc'."),
        ("texts: []\ntext: x", "line 1: texts is empty; give at least one."),
        ("texts: [a, [b]]\ntext: x", "line 1: each of texts must be a text, not a list."),
        ("texts: [a, '']\ntext: x", "line 1: each of texts must not be empty."),
        ("texts: [a, a]\ntext: x", "line 1: texts names 'a' twice."),
    ],
)
def test_what_must_be_there(tmp_path, text, complaint):
    with pytest.raises(UserError) as raised:
        read(tmp_path, text)
    assert str(raised.value).endswith(complaint)


def test_an_editor_is_told_the_same():
    schema = adapter(Toy).json_schema()
    assert schema["required"] == ["text", "texts"] and schema["additionalProperties"] is False
    assert {"name", "about"}.isdisjoint(schema["properties"])
    assert schema["properties"]["k"]["anyOf"] == [{"type": "integer", "minimum": 1}, {"const": "all"}]
    assert schema["$defs"]["Part"]["properties"]["word"]["enum"] == ["up", "down"]


def test_long_values_are_shown_in_short():
    assert len(shown("x" * 1000)) < 90 and shown([[]] * 1000) == "a list"
    assert as_text("a", "k") == "a"
    with pytest.raises(ValueError, match="k must be a text, not 3: put it in quotes"):
        as_text(3, "k")
