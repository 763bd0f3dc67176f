"""The trials of a sweep: all combinations, or drawn by chance."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping

from mpt.sweep.distributions import Parameter, Range, Value
from mpt.util.errors import UserError

_MOST = 100_000
"""Trials of a grid."""

Values = dict[str, Value]
"""Option by dotted name to its value."""


def grid(parameters: Mapping[str, Parameter], where: str) -> list[Values]:
    """All combinations, the last parameter changing fastest."""
    for name, parameter in parameters.items():
        if isinstance(parameter, Range):
            raise UserError(
                f"{where}: {name} may be any number between two, of which a grid has no list; give values, "
                "whole numbers or q_uniform, or set method to random or bayes"
            )
    listed = [parameter for parameter in parameters.values() if not isinstance(parameter, Range)]
    if (size := math.prod(one.size for one in listed)) > _MOST:
        raise UserError(
            f"{where}: a grid of {size:,} trials, and {_MOST:,} are the most; give fewer values, or set method to "
            "random or bayes"
        )
    return [dict(zip(parameters, chosen, strict=True)) for chosen in itertools.product(*(one.values for one in listed))]


def drawn(parameters: Mapping[str, Parameter], count: int, seed: int) -> list[Values]:
    """``count`` different combinations by chance, or fewer if there are no more.

    Trial n is a function of the seed, the parameters and n, so a sweep that goes on with a larger count first has
    those of the smaller one.
    """
    found: list[Values] = []
    rng = random.Random(f"sweep {seed}")
    vain = 0
    while len(found) < count and vain < 1000:
        values = {name: parameter.draw(rng) for name, parameter in parameters.items()}
        vain += 1
        if values not in found:
            found.append(values)
            vain = 0
    return found
