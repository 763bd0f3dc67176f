"""What a prompt is tuned by where no library says it, and which library is searched where none is named."""

from __future__ import annotations

from mpt.library.library import Library, shipped_for
from mpt.library.recipe import KeyRecipe

DEFAULTS = KeyRecipe(
    backbone="mpt-tiny", prompt_length=20, key_steps=50, learning_rate=0.3, batch_size=8, seed=13
)  # the rate is that of Lester et al. (2021)

NO_LIBRARY = "none"
"""In place of a library's name: search none."""


def library_of(named: str | None, backbone: str | None, prompt_length: int | None) -> Library | None:
    """The library that is named, or the one that ships for the backbone if its prompts can be starts."""
    if named is not None:
        return None if named == NO_LIBRARY else Library.open(named)
    if (shipped := shipped_for(backbone)) is None:
        return None
    library = Library.open(shipped)
    return library if prompt_length in (None, library.recipe.prompt_length) else None
