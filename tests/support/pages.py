"""The blocks of README and docs/: what a reader types, in the order of the page, and whether it is to be run here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.paths import ROOT
from support.toy import Mpt

PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]}

_BLOCK = re.compile(r'(?:^<!-- (no-run|slow): [^\n]*-->\n)?^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.M | re.S)


@dataclass(frozen=True)
class Block:
    """Attributes:
    mark: ``no-run`` or ``slow``, from a comment above the block that says why; empty if a test runs it.
    kind: its language.
    title: the file that the reader is to save it as, if any.
    """

    mark: str
    kind: str
    title: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line, comments left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: str) -> list[Block]:
    text = PAGES[page].read_text(encoding="utf-8")
    found = [Block(*match) for match in _BLOCK.findall(text)]
    assert len(found) * 2 == len(re.findall(r"^```", text, flags=re.M)), f"{page} has a block of another form"
    return found


def commands(page: str, *marks: str) -> Iterator[list[str]]:
    """Those of the page's shell blocks that have one of the marks."""
    for block in blocks(page):
        if block.kind == "bash" and block.mark in marks:
            yield from block.commands


def run_page(page: str, mpt: Mpt, folder: Path, *marks: str) -> list[Block]:
    """Save and run the page's blocks in ``folder``, beside the repository's experiments; the blocks that were run."""
    (folder / "experiments").symlink_to(ROOT / "experiments")
    ran = [block for block in blocks(page) if block.mark in ("", *marks)]
    for block in ran:
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            exec(compile(block.text, page, "exec"), {"__name__": "page"})
        elif block.kind == "bash":
            for words in block.commands:
                assert words[0] == "mpt", f"{shlex.join(words)} is not run here; mark the block no-run"
                ended = mpt(*words[1:])
                assert ended.code == 0, f"{shlex.join(words)}\n{ended.err}"
    return ran
