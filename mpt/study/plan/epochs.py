"""How many steps a number of epochs over a mixture of source tasks is: a mixture itself has no epochs."""

from __future__ import annotations

import math
from functools import cache

from mpt.data.fewshot.files import load_examples
from mpt.data.tasks.task import Shots
from mpt.fit.resolve import ResolvedRun
from mpt.util.errors import UserError


def steps_of_epochs(epochs: float, run: ResolvedRun, sources: tuple[str, ...], where: str) -> int:
    """Steps that take each pooled example so many times, on average: epochs x pool / batch, rounded up.

    Args:
        epochs: more than 0.
        sources: the source tasks.
        where: what to name in a complaint.
    """
    if run.class_name("data") != "MixtureData":
        raise UserError(
            f"{where}: epochs is for a stage that learns on a mixture (MixtureData), and this one's "
            f"data are {run.said('data') or 'not named'}; give steps: trainer.max_steps in overrides"
        )
    root, seeds, splits = run["data.root"], tuple(run["data.seeds"]), tuple(run["data.splits"])
    sizes = [_pool(root, task, seeds, splits, run["data.k"]) for task in sources]
    limit = run["data.limit"]
    pooled = sum(sizes if limit is None else (min(size, limit) for size in sizes))
    return math.ceil(epochs * pooled / (run["data.batch_size"] * (run["trainer.accumulate_grad_batches"] or 1)))


@cache
def _pool(root: str, task: str, seeds: tuple[int, ...], splits: tuple[str, ...], k: Shots | None) -> int:
    """Different examples of a task's draws: those that MixtureData pools."""
    return len({example for seed in seeds for example in load_examples(root, task, seed, splits, k)})
