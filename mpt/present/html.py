"""A page as one HTML file that needs nothing else: figures inside it, no script, nothing to fetch."""

from __future__ import annotations

import base64
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Template
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from mpt.present.markdown import MARKS, Block, Figure, markdown
from mpt.present.table import Table


def html_page(blocks: Sequence[Block], folder: Path) -> str:
    """The text of the page, from its Markdown and the template ``page.html``.

    Args:
        folder: where the figures lie.
    """
    figures = {_PARSER.normalizeLink(block.file): folder / block.file for block in blocks if isinstance(block, Figure)}
    environment = {"figures": figures}
    tokens = _PARSER.parse(markdown(blocks), environment)
    _draw_rules(tokens, [block for block in blocks if isinstance(block, Table)])

    def written(part: Sequence[Token]) -> Markup:
        return Markup(_PARSER.renderer.render(part, _PARSER.options, environment))

    sections = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            name = tokens[place + 1]
            token.attrSet("id", re.sub(r"[^a-z0-9]+", "-", name.content.lower()).strip("-"))
            sections.append((token.attrs["id"], written([name])))
    first = next((place for place, token in enumerate(tokens) if token.tag == "h2"), len(tokens))
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"), autoescape=True)
    return template.render(
        title=next((text[2:] for text in blocks if isinstance(text, str) and text.startswith("# ")), "report"),
        beginning=written(tokens[:first]),
        sections=sections,
        rest=written(tokens[first:]),
    )


class _Renderer(RendererHTML):
    """Of the marks only those that pages are written with, so that the names in them are shown as they are."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        path = env["figures"].get(token.attrs["src"])
        if path is None:  # no figure of the page, but a name that looks like one
            return escapeHtml(f"![{token.content}]({token.attrs['src']})")
        alt = escapeHtml(self.renderInlineAsText(token.children, options, env))
        content = base64.b64encode(path.read_bytes()).decode("ascii")
        # Wider than a phone's screen, where it would be too small to read, it is scrolled as a table is.
        return f'<span class="wide"><img alt="{alt}" src="data:image/png;base64,{content}"></span>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="wide"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def strong_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return self.renderToken(tokens, idx, options, env) if tokens[idx].markup == "**" else tokens[idx].markup

    def em_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return tokens[idx].markup

    def text_special(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A backslash and what is behind it: a sign that a cell's texts have escaped, else both."""
        token = tokens[idx]
        return escapeHtml(token.content if token.content in MARKS else token.markup)

    strong_close, em_close = strong_open, em_open


_PARSER = (
    MarkdownIt("zero", {"html": False}, renderer_cls=_Renderer)
    .enable(["heading", "list", "fence", "table", "backticks", "emphasis", "image", "escape"])
    .disable("text_join")
)


def _draw_rules(tokens: Sequence[Token], tables: Sequence[Table]) -> None:
    """Name the rows that a line is drawn before, for which Markdown has no sign."""
    number, row = -1, -1
    for token in tokens:
        if token.type == "table_open":
            number, row = number + 1, -2  # the head comes first
        elif token.type == "tr_open":
            row += 1
            if row in tables[number].rules:
                token.attrSet("class", "rule")
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "td_open" and token.attrGet("style") == "text-align:left":
            token.attrSet("style", "text-align:start")  # a text in Arabic begins at its right
            token.attrSet("dir", "auto")
