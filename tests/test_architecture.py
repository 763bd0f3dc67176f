"""The rooms of the package and the order in which they may know each other: docs/architecture.md says the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.paths import ROOT

ROOMS = (
    ("util",),
    ("metrics", "present", "backbone", "prompt", "record"),
    ("library",),
    ("data",),
    ("learn", "callbacks", "assets"),
    ("fit", "use"),
    ("adapt",),
    ("study",),
    ("analysis", "sweep"),
    ("cli",),
)
"""Lowest first: a room knows only those of rows below its own."""

FLOORS = {
    "data": ("catalogue", "tasks", "tables", "synthetic", "fewshot", "modules", "build"),
    "use": ("answers", "words", "export"),
    "study": ("spec", "plan", "run", "forecast", "scores", "report"),
}
"""Of the rooms that have them, lowest first."""


def modules() -> dict[str, Path]:
    """Every module by its name; ``callbacks`` stands at the top of the repository."""
    found = {}
    for path in [*ROOT.glob("mpt/**/*.py"), *ROOT.glob("callbacks/*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = ("mpt", *parts) if parts[0] == "callbacks" else parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The package's modules that one imports, wherever in it: late ones and those for types alone count too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """By module the modules that it imports, without the package itself."""
    known = modules()
    found = {name: {other for other in imported(name, path, known) if other in known} for name, path in known.items()}
    return {name: others - {"mpt", name} for name, others in found.items()}


def no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None


def test_a_circle_would_be_found():
    with pytest.raises(AssertionError, match=r"a circle: (a -> b -> a|b -> a -> b)$"):
        no_circle({"a": {"b"}, "b": {"a"}})


def test_no_file_knows_one_that_knows_it(arrows):
    assert len(arrows) > 200
    no_circle(arrows)


def test_every_module_has_a_room(arrows):
    rooms = {name.split(".")[1] for name in arrows if "." in name} - {"__main__"}
    assert rooms == {room for row in ROOMS for room in row}


def test_rooms_know_only_those_below(arrows):
    height = {room: row for row, rooms in enumerate(ROOMS) for room in rooms} | {"__main__": len(ROOMS)}
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in others
        if "." in name
        and name.split(".")[1] != other.split(".")[1]
        and height[name.split(".")[1]] <= height[other.split(".")[1]]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", FLOORS)
def test_floors_know_only_those_below(arrows, room):
    height = {floor: row for row, floor in enumerate(FLOORS[room])}

    def floor(name: str) -> str | None:
        return name.split(".")[2] if name.startswith(f"mpt.{room}.") else None

    assert {floor(name) for name in arrows} - {None} == set(height)
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in others
        if (one := floor(name)) and (two := floor(other)) and one != two and height[one] < height[two]
    ]
    assert not wrong, "\n".join(wrong)


def test_learn_knows_its_algorithms_and_they_do_not_know_it(arrows):
    wrong = [
        (name, other)
        for name, others in arrows.items()
        if name.startswith("mpt.learn.meta.")
        for other in others
        if other.startswith("mpt.learn.") and not other.startswith("mpt.learn.meta.")
    ]
    assert not wrong


def test_the_page_has_the_same_order():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.M)
    assert rows == [(str(row), room) for row, rooms in enumerate(ROOMS, 1) for room in rooms]
    floors = re.findall(r"^- `(\w+)`: (.*)$", page, flags=re.M)
    assert {room: tuple(re.findall(r"`(\w+)`", line)) for room, line in floors} == FLOORS


def test_the_picture_has_every_room():
    picture = ElementTree.parse(ROOT / "docs/rooms.svg").getroot()
    bold = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text") if node.get("font-weight") == "bold"]
    assert sorted(bold) == sorted(room for row in ROOMS for room in row)
