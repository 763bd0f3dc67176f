"""A page as one HTML file that needs nothing else: figures inside it, no script, nothing to fetch."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from mpt.present.blocks import Block, Bullets, Code, Figure, Heading, Paragraph
from mpt.present.table import Table

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; --ink: #1c1c1c; --faint: #667; --line: #d8dbe0; --shade: #f4f6f8; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink); background: white;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 2px solid var(--blue); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
nav { margin: 1rem 0; padding: .6rem .9rem; background: var(--shade); border-radius: .4rem; }
nav a { display: inline-block; margin-right: 1.1rem; color: var(--blue); }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .65rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
th.name { max-width: 11rem; white-space: normal; }
.text { text-align: left; }
td:first-child, th:first-child { position: sticky; left: 0; background: white; }
tr.rule td { border-top: 2px solid var(--ink); }
td.bold { font-weight: 700; }
tbody tr:hover td { background: var(--shade); }
img { display: block; width: 100%; min-width: 28rem; max-width: 50rem; height: auto; margin: 1rem 0; }
pre, code { font: .85em ui-monospace, Menlo, Consolas, monospace; background: var(--shade); border-radius: .25rem; }
pre { padding: .7rem .9rem; overflow-x: auto; }
code { padding: .1rem .25rem; }
pre code { padding: 0; }
@media print { .wide { overflow: visible; } img { min-width: 0; } img, table { break-inside: avoid; } }
</style>
</head>
<body>
$body
</body>
</html>
""")


def html_page(blocks: Sequence[Block], folder: Path) -> str:
    """The text of the page.

    Args:
        folder: where the figures lie.
    """
    title = next((block.text for block in blocks if isinstance(block, Heading) and block.level == 1), "report")
    parts = []
    for i, block in enumerate(blocks):
        if i == _first_section(blocks):
            parts.append(_contents(blocks))
        parts.append(_block(block, folder))
    return _PAGE.substitute(title=html.escape(title), body="\n".join(parts))


def _first_section(blocks: Sequence[Block]) -> int:
    return next((i for i, block in enumerate(blocks) if isinstance(block, Heading) and block.level == 2), -1)


def _contents(blocks: Sequence[Block]) -> str:
    names = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = [f'<a href="#{_anchor(name)}">{_text(name)}</a>' for name in names]
    return f"<nav>{' '.join(links)}</nav>"


def _block(block: Block, folder: Path) -> str:
    if isinstance(block, Heading):
        anchor = f' id="{_anchor(block.text)}"' if block.level == 2 else ""
        return f"<h{block.level}{anchor}>{_text(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_text(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Code):
        return f"<pre><code>{html.escape(block.text)}</code></pre>"
    if isinstance(block, Figure):
        content = base64.b64encode((folder / block.file).read_bytes()).decode("ascii")
        image = f'<img alt="{html.escape(block.about)}" src="data:image/png;base64,{content}">'
        # Wider than a phone's screen, where it would be too small to read, it is scrolled as a table is.
        return f'<div class="wide">{image}</div>'
    return _table(block)


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col" class="{"text " if j < table.texts else ""}name">{html.escape(name)}</th>'
        for j, name in enumerate(table.head)
    )
    rows = []
    for i, row in enumerate(table.rows):
        cells = []
        for j, cell in enumerate(row):
            kinds = [name for name, is_so in (("text", j < table.texts), ("bold", (i, j) in table.bold)) if is_so]
            kind = f' class="{" ".join(kinds)}"' if kinds else ""
            cells.append(f"<td{kind}>{html.escape(str(cell))}</td>")
        opening = '<tr class="rule">' if i in table.rules else "<tr>"
        rows.append(f"{opening}{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _text(text: str) -> str:
    """Escaped, with the marks of :mod:`mpt.present.blocks` as tags."""
    escaped = html.escape(text)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
