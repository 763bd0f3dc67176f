"""How many steps a number of epochs over a mixture of source tasks is: a mixture itself has no epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from mpt.data.fewshot.files import load_examples
from mpt.data.tasks.mixing import SIZE_LIMIT
from mpt.data.tasks.task import Shots
from mpt.util.errors import UserError

_OF_MIXTURES = {
    "seeds": [13, 21, 42, 87, 100],
    "splits": ["train", "dev"],
    "batch_size": 32,
    "limit": SIZE_LIMIT,
    "k": None,
}
"""What :class:`mpt.data.modules.examples.MixtureData` takes where nothing is said."""


def steps_of_epochs(
    epochs: float, config: str, options: Mapping[str, Any], root: str, sources: tuple[str, ...], where: str
) -> int:
    """Steps that take each pooled example so many times, on average: epochs x pool / batch, rounded up.

    Args:
        epochs: more than 0.
        config: text of the run's config file.
        options: its options by dotted name, which go over the config.
        root: the data folder.
        sources: the source tasks.
        where: what to name in a complaint.

    Raises:
        UserError: the config does not learn on a mixture; a draw that is not there.
    """
    content = yaml.safe_load(config)
    data = content.get("data", {}) if isinstance(content, dict) else {}
    name = str(options.get("data", data.get("class_path", "")))
    if name.rpartition(".")[2] != "MixtureData":
        raise UserError(
            f"{where}: epochs is for a stage that learns on a mixture (MixtureData), and this one's "
            f"data are {name or 'not named'}; give steps: trainer.max_steps in overrides"
        )
    given: dict[str, Any] = {**_OF_MIXTURES, **data.get("init_args", {})}
    for option, value in options.items():
        if option.startswith("data."):
            given[option.removeprefix("data.").removeprefix("init_args.")] = value
    sizes = [_pool(root, task, tuple(given["seeds"]), tuple(given["splits"]), given["k"]) for task in sources]
    limit = given["limit"]
    pooled = sum(sizes if limit is None else (min(size, limit) for size in sizes))
    accumulated = options.get(
        "trainer.accumulate_grad_batches", content.get("trainer", {}).get("accumulate_grad_batches")
    )
    return math.ceil(epochs * pooled / (given["batch_size"] * (accumulated or 1)))


@cache
def _pool(root: str, task: str, seeds: tuple[int, ...], splits: tuple[str, ...], k: Shots | None) -> int:
    """Different examples of a task's draws: those that MixtureData pools."""
    return len({example for seed in seeds for example in load_examples(root, task, seed, splits, k)})
