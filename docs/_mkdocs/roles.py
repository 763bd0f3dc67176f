"""Docstrings name classes in reStructuredText (``:class:`~mpt.x.Y```); the site shows them as code."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Roles(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            text = re.sub(r":[a-z]+:`~(?:[\w.]+\.)?(\w+)`", r"`\1`", obj.docstring.value)
            obj.docstring.value = re.sub(r":[a-z]+:`([^`]+)`", r"`\1`", text).replace("``", "`")
