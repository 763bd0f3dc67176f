"""What a prompt is tuned by where no library says it."""

from __future__ import annotations

from mpt.library.recipe import KeyRecipe

DEFAULTS = KeyRecipe(
    backbone="mpt-tiny", prompt_length=20, key_steps=50, learning_rate=0.3, batch_size=8, seed=13
)  # the rate is that of Lester et al. (2021)
