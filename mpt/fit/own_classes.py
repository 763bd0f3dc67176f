"""Classes in the folder one stands in: a module of it is imported once an option or a config names it, and not before.

Libraries import what need not be there, such as ``dill``, if it is; were the folder searched from the start, a file of
that name in a stranger's folder would be run by whoever stands there.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


class _OwnFolder(MetaPathFinder):
    """The last to be asked for a module. With the one that was named the folder comes into ``sys.path``, for what that
    one imports.
    """

    def __init__(self) -> None:
        self.named: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.named:
            return None
        folder = os.getcwd()
        found = PathFinder.find_spec(name, [folder])
        if found is not None and folder not in sys.path:
            sys.path.append(folder)
        return found


_finder = _OwnFolder()


def find_modules_of(value: Any) -> None:
    """Let the modules be found that a part of a config names, as ``scaled`` in ``scaled.Scaled``."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            find_modules_of(part)
    elif isinstance(value, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", value):
        _finder.named.add(value.partition(".")[0])
