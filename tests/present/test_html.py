"""The page as one file: read back with the standard library's parser."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mpt.present.html import html_page
from mpt.present.markdown import Figure, bullets, code
from mpt.present.table import Table

VOID = {"meta", "img", "br", "hr"}


class Page(HTMLParser):
    """Every tag closed by its own end; what is referred to, and the texts by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "x.png").write_bytes(b"\x89PNG and more")
    table = Table(
        ["method", "a<b"], [["M&M", "1.0 ± 2.0"], ["<script>", "3.0"]], bold=frozenset({(1, 1)}), rules=frozenset({1})
    )
    blocks = [
        "# A & B",
        "see `a<b>.csv`, **not** <i>this</i>",
        "## First: (%)",
        table,
        Figure("p/x.png", "x.png", "p", 'what "it" shows'),
        "## Second",
        code("mpt study run x --out <dir>"),
        bullets(["`k`: no & memory"]),
    ]
    return Page(html_page(blocks, tmp_path))


def test_it_needs_nothing_from_elsewhere(page):
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "link", "iframe", "object", "svg"}
    for _, attributes in page.found:
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/png;base64,", "#"))
    (style,) = (text for tag, text in page.texts if tag == "style")
    assert "url(" not in style and "@import" not in style
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")


def test_figures_are_inside_it(page):
    (image,) = page.of("img")
    assert base64.b64decode(image["src"].partition(",")[2]) == b"\x89PNG and more"
    assert image["alt"] == 'what "it" shows'


def test_texts_are_escaped_and_their_marks_are_tags(page):
    assert ("code", "a<b>.csv") in page.texts and ("strong", "not") in page.texts
    assert ("td", "<script>") in page.texts and ("td", "M&M") in page.texts and ("th", "a<b") in page.texts
    assert ("code", "mpt study run x --out <dir>") in page.texts and ("title", "A & B") in page.texts
    assert page.of("i") == []


def test_the_best_is_bold_and_rules_are_drawn(page):
    styles = [attributes.get("style") for attributes in page.of("td")]
    assert styles == ["text-align:start", "text-align:right"] * 2
    assert [text for tag, text in page.texts if tag == "strong"] == ["not", "3.0"]
    assert [attributes.get("class") for attributes in page.of("tr")] == [None, None, "rule"]


@pytest.mark.parametrize("name", ["_a_", "*a*", "__init__", "[a](http://b)", "<http://b>", "a\\_b", "![x](secret.png)"])
def test_a_name_is_shown_as_it_is(name, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"not of the page")
    page = Page(html_page([f"# {name}", f"of {name}", Table([name], [[name]])], tmp_path))
    assert [text for tag, text in page.texts if tag in ("h1", "p", "th", "td")] == [name, f"of {name}", name, name]
    assert not page.of("img") and not page.of("a")


@pytest.mark.parametrize("file", ["a b.png", "p q/é.png", "a(1.png", "a%20b.png"])
def test_a_figure_of_whatever_name_is_inside(file, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"picture")
    (image,) = Page(html_page([Figure(file, file, None, "x")], tmp_path)).of("img")
    assert base64.b64decode(image["src"].partition(",")[2]) == b"picture"


def test_the_contents_lead_to_the_sections(page):
    anchors = [attributes["id"] for attributes in page.of("h2")]
    assert [attributes["href"] for attributes in page.of("a")] == [f"#{anchor}" for anchor in anchors]
    assert len(set(anchors)) == 2


def test_a_text_from_right_to_left_begins_at_its_right(tmp_path):
    page = html_page(["# a", Table(["text", "number"], [["\u0645\u0631\u062d\u0628\u0627", "1"]], texts=1)], tmp_path)
    assert '<td style="text-align:start" dir="auto">\u0645' in page and '<td style="text-align:right">1' in page
