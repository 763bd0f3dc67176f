"""What several parts of a study file may say, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from mpt.data.tasks.task import Shots
from mpt.record.options import plain
from mpt.util.schema import Checked, FromFile, Text, listed, whole

_GRID = (
    "config",
    "seed_everything",
    "data.seed",
    "data.task",
    "data.tasks",
    "data.partition",
    "data.root",
    "trainer.default_root_dir",
    "ckpt_path",
    "weights_only",
)
"""Options that differ from run to run, so that no override may set them."""


_COUNTS = (
    "trainer.max_steps",
    "trainer.val_check_interval",
    "trainer.accumulate_grad_batches",
    "data.batch_size",
    "data.limit",
    "data.test_examples",
    "model.prompt_length",
    "model.backbone_options.max_target_length",
)
"""Options that are whole numbers, in quotes too."""


def _overrides(value: Any, validate: Callable[[Any], Any]) -> Any:
    """Options by dotted name, whether the file nests them or writes the dots."""
    if isinstance(value, dict):
        names = [name for name, _ in _flat(value)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"set {twice} twice, nested and with dots; leave one of them out")
    options = validate(dict(_flat(value)) if isinstance(value, dict) else value)
    # A count in quotes is that number to mpt fit; of other options a text of digits may be a text.
    options = {name: int(one) if plain(name) in _COUNTS and _is_whole(one) else one for name, one in options.items()}
    _check_free(options)
    if any(plain(name) == "trainer.fast_dev_run" for name in options):
        raise ValueError("must not set trainer.fast_dev_run, by which a run keeps nothing; lower trainer.max_steps")
    return options


def _is_whole(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", value) is not None


def _flat(nested: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _vary(value: Any, validate: Callable[[Any], Any]) -> Any:
    """Options, or ``epochs``, to the numbers that they are given in turn."""
    found = validate(value)
    _check_free(found)
    # A whole number stays one: the option may be a count.
    return {
        name: tuple(int(one) if one.is_integer() and one >= 1 else one for one in several)
        for name, several in found.items()
    }


def _check_free(options: Mapping[str, Any]) -> None:
    for name in options:
        if plain(name.removesuffix("+")) in _GRID:
            raise ValueError(f"must not set {name}, which the study sets itself for each run")


K = Annotated[Shots, whole(1, word="all")]
Overrides = Annotated[Mapping[str, Any], Checked(_overrides)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Vary = Annotated[Mapping[str, Annotated[tuple[Number, ...], listed("numbers")]], Checked(_vary)]
Seed = Annotated[int, whole(0, 2**32 - 1)]
Seeds = Annotated[tuple[Seed, ...], listed("whole numbers")]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rates = Annotated[tuple[Rate, ...], listed("numbers", least=0)]
Names = Annotated[tuple[Text, ...], listed("texts", least=0)]
Epochs = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StudyPart(FromFile):
    """A part of the file, in which a key with nothing behind it counts as left out."""

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        return {key: value for key, value in content.items() if value is not None or key in ("seeds", "retrieve")}
