"""What package indexes call this package, which is imported as ``mpt``: a stranger's package has that name there."""

from __future__ import annotations

DISTRIBUTION = "meta-prompt-tuning"
"""As in ``pyproject.toml``."""


def install(extra: str) -> str:
    """How to get what an extra brings, beside the package as it is installed or from a checkout."""
    return f"pip install '{DISTRIBUTION}[{extra}]', in a checkout pip install -e '.[{extra}]'"
