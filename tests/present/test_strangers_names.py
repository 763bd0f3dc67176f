"""Names that would be marks, formulas or commands: each format shows them as the texts that they are."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from present.test_html import Page

from mpt.present.csv_text import csv_text
from mpt.present.html import html_page
from mpt.present.latex import latex_table
from mpt.present.markdown import markdown
from mpt.present.table import Table

NAMES = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "a | b || c",
    "`a` **b** *c* [d](http://e.invalid) ![f](g)",
    "back\\slash \\| \\<b>",
    "two\nlines\r\nand more",
    '=HYPERLINK("http://e.invalid","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\\input{/etc/passwd} $x$ 50% a_b #1 ~ ^ & {}",
    "# no heading",
]


def table(name: str) -> Table:
    return Table(["method", name], [[name, "1.0"], ["PT", name]], texts=1)


def shown(name: str) -> str:
    return " ".join(name.split())


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_it_as_it_is(name):
    """By the parser of GitHub's dialect, which lets HTML pass."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(markdown([table(name)]))
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 6
    for cell in (cells[1], cells[2], cells[5]):
        assert {part.type for part in cell.children} <= {"text", "text_special"}
        assert "".join(part.content for part in cell.children) == shown(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_it_as_it_is(name):
    page = Page(html_page([table(name)], Path()))
    assert [text for tag, text in page.texts if tag in ("th", "td") and text == shown(name)]
    assert not {tag for tag, _ in page.found} & {"script", "img", "a", "b", "strong", "code"}


@pytest.mark.parametrize("name", NAMES)
def test_latex_shows_it_as_it_is(name):
    text = latex_table(table(name), name, "t")
    for command in ("\\input", "\n\n"):
        assert command not in text
    assert not re.search(r"(?<!\\)[$#%_]", re.sub(r"\$[^$]*\$|\{%\n", "", text).replace(r"\%", "").replace(r"\_", ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_spreadsheet_computes_nothing(name):
    head, first, second = csv.reader(io.StringIO(csv_text(["method", name], [[name, -1.5], ["PT", "-1.5"]])))
    assert not re.match(r"[=+\-@\t\r]", head[1]) and not re.match(r"[=+\-@\t\r]", first[0])
    assert head[1].removeprefix("'") == first[0].removeprefix("'") == name
    assert (first[1], second[1]) == ("-1.5", "-1.5")
