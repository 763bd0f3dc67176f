"""From a few examples to the best prompt; filling a library. ``mpt.adapt(…)`` does what ``mpt adapt`` does."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    """This module may be called, for what it holds and what it does have one name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """See :func:`mpt.adapt.in_python.adapt_examples`."""
        from mpt.adapt.in_python import adapt_examples

        return adapt_examples(*args, **options)


sys.modules[__name__].__class__ = _CallableModule
