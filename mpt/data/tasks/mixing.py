"""In which proportions a mixture draws from its tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mpt.util.errors import UserError

SIZE_LIMIT = 2**19
"""SPoT's artificial size limit K (Vu et al. 2022, section 2.3; T5's for its smaller mixtures)."""


def mixing_rates(sizes: Sequence[int], limit: int | None = None, temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Examples-proportional mixing (Raffel et al. 2020, section 3.5.2), as SPoT mixes its source tasks.

    r_m = min(e_m, K) / sum_n min(e_n, K), raised to 1 / T and normalised again.

    Args:
        sizes: number of examples e_m of each of the M tasks.
        limit: the artificial size limit K, above which a task counts as no larger (SPoT: :data:`SIZE_LIMIT`); without
            it, sizes as they are.
        temperature: T; 1 is proportional, towards infinity all tasks become equal.

    Returns:
        [M] rates that sum to 1.

    Raises:
        UserError: a size or the limit below 1, a temperature that is not above 0, or no task.

    >>> mixing_rates([100, 300, 1000], limit=400).tolist()
    [0.125, 0.375, 0.5]
    """
    if not len(sizes) or min(sizes) < 1:
        raise UserError(f"A mixture needs tasks of one example or more, and the sizes are {list(sizes)}.")
    if limit is not None and limit < 1:
        raise UserError(f"The mixture's size limit must be 1 or more, not {limit}.")
    if not temperature > 0:
        raise UserError(f"The mixture's temperature must be above 0, not {temperature}.")
    capped = np.minimum(np.array(sizes, dtype=np.float64), np.inf if limit is None else limit)
    # The largest becomes 1, so that a temperature near 0 leaves the largest tasks, not 0 / 0.
    rates = (capped / capped.max()) ** (1.0 / temperature)
    return rates / rates.sum()
