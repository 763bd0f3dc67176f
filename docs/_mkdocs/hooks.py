"""What mkdocs cannot do by options: show the repository's results and notebooks, and formulas without JavaScript."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("experiments/results/**/*", "notebooks/*.ipynb", "mpt/assets/README.md", "*.md")
"""What lies outside docs/ and is linked from there; it stands in the site under the same path."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A block ```` ```math ```` becomes MathML, which browsers draw by themselves."""
    fence = {"name": "math", "class": "math", "format": _math}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for pattern in SHOWN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and name != "README.md":
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links that leave or enter docs/ on disk stay inside the site, one folder nearer."""
    if not (Path(page.file.abs_src_path or "")).is_relative_to(ROOT / "docs"):
        return markdown.replace("](docs/", "](")
    up = "../" * page.file.src_uri.count("/")
    return re.sub(rf"\]\({re.escape(up)}\.\./(?=\w)", f"]({up}", markdown)


def _math(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="math">{convert(source, display="block")}</div>'
