"""A backbone that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpt.backbone.loading import BackboneOptions, load
from mpt.util.errors import UserError


def refusal(name: str | Path, **options: object) -> str:
    """The sentence: one line that names the backbone."""
    with pytest.raises(UserError) as error:
        load(str(name), BackboneOptions(**options))  # type: ignore[arg-type]
    text = str(error.value)
    assert "\n" not in text and str(name) in text
    return text
