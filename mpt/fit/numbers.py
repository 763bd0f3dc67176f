"""Numbers of a run that cannot be: refused before anything is made of them, be they in a config or beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mpt.util.errors import UserError

_LAST_SEED, _LARGEST = 2**32 - 1, 2**31 - 1
_LEAST: dict[str, float] = {
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.log_every_n_steps": 0,
    "trainer.max_steps": -1,
    "trainer.min_epochs": 0,
    "trainer.min_steps": 0,
    "trainer.num_sanity_val_steps": -1,
    "seed_everything": 0,
}
"""Of options in which Lightning takes any number, and goes astray."""
_MOST = {"data.num_workers": 1024, "trainer.devices": 1024, "trainer.num_nodes": 1024}
_RATES = ("lr", "weight_decay", "inner_lr", "outer_lr")


def refuse_numbers(config: Mapping[str, Any]) -> None:
    """Refuse what is no number, too large for one, or below what its option begins at.

    Args:
        config: every option of a run, nested as in its file.

    Raises:
        UserError: by the option.
    """
    for name, value in _numbers(config):
        last = name.rpartition(".")[2]
        most = _LAST_SEED if "seed" in last else _MOST.get(name, _LARGEST)
        if isinstance(value, int) and value > most:
            raise UserError(f"{name} must be a whole number of at most {most}, not {_short(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name} must be a finite number, not {value}")
        least = 0 if last in _RATES or "seed" in last else _LEAST.get(name)
        if least is not None and value < least:
            raise UserError(f"{name} must be at least {least:g}, not {_short(value)}")
        if name == "trainer.val_check_interval" and value <= 0:
            raise UserError(f"{name} must be a number of batches of at least 1, not {_short(value)}")


def _short(value: int | float) -> str:
    # Python itself refuses to write a whole number of thousands of digits.
    return str(value) if abs(value) < 10**40 else "a number of more than 40 digits"


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int | float]]:
    """The numbers in a configuration, each with its option as it is typed."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(part, name if key == "init_args" else f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value
