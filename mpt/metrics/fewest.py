"""How much a study must have for a test to be possible; light, so that a plan can tell before any run."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = {"target": 4, "draw": 3, "upstream seed": 2}


def too_few(sizes: Sequence[int]) -> str:
    """The clause that says of what there is too little for a test, of all at once; empty if there is enough.

    Args:
        sizes: targets, draws and, where they are a factor, upstream seeds.
    """
    found = zip(sizes, FEWEST.items(), strict=False)
    short = [(f"{least} {name}s", str(size)) for size, (name, least) in found if size < least]
    if not short:
        return ""
    needed, there = (" and ".join(parts) for parts in zip(*short, strict=True))
    return f"a test needs at least {needed}, not {there}"
