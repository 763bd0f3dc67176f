"""The key ``source`` of a catalogue file: a data set on the hub, and what of it is pool and test list.

Or, by the key ``elsewhere`` alone, the address of one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from mpt.util.files import is_folder_name
from mpt.util.schema import Checked, FromFile, Text, Texts, as_text, checking, in_quotes, shown, whole

_HUB = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def _is_on_hub(hub: str) -> None:
    if not _HUB.fullmatch(hub):
        raise ValueError(f"must be organisation/name, as nyu-mll/glue is, not {shown(hub)}")


def _is_revision(revision: str) -> None:
    if not revision.isprintable() or " " in revision:
        raise ValueError(f"must be a branch, a tag or a commit, not {shown(revision)}")


def _are_folders(*names: str) -> None:
    """Configuration and split are folders in the hub's Parquet branch."""
    for name in names:
        if not is_folder_name(name):
            raise ValueError(f"names {shown(name)}, which cannot be a name there: it is no folder's")


def _splits(given: Any, validate: Callable[[Any], Any]) -> Any:
    if not isinstance(given, (str, list)):
        raise ValueError(f"must be a text or a list of texts, not {shown(given)}{in_quotes(given)}")
    splits = validate([given] if isinstance(given, str) else given)
    _are_folders(*splits)
    return splits


def _sizes(given: Any, validate: Callable[[Any], Any]) -> Any:
    if not isinstance(given, list) or len(given) != 2:
        told = f"a list of {len(given)}" if isinstance(given, list) else shown(given)
        raise ValueError(f"must be two whole numbers, the records of the pool and of the test list, not {told}")
    return validate(tuple(given))


def _begin(begin: float) -> None:
    if not 0.8 <= begin < 1:
        raise ValueError(f"must be at least 0.8, where the pool ends, and less than 1, not {shown(begin)}")


def _share(given: Any, _: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ValueError(f"must be a number, not {shown(given)}")
    if not 0 < given < 1:
        raise ValueError(f"must be between 0 and 1, not {shown(given)}")
    return given


Splits = Annotated[Texts, Checked(_splits, {"anyOf": [{"type": "string"}, {"type": "array"}]})]
Size = Annotated[int, whole(1)]


@dataclass(frozen=True)
class DataSource(FromFile):
    """Where the rows come from.

    Attributes:
        hub: data set on the Hugging Face hub, ``organisation/name``.
        config: its configuration (subset).
        revision: branch, tag or commit; ``refs/convert/parquet`` is the branch of the hub's own Parquet files.
        train: splits that make the training pool, one after the other.
        test: splits that make the test list; none where it is cut off the training pool.
        holdout_seed: without test splits: seed of the shuffle after which the last fifth of the pool is the test list.
        holdout_sizes: in place of four fifths and one: how many records go to the pool, and then to the test list.
        holdout_test_from: where in the shuffled pool the test list begins, if not after the first four fifths.
        test_share: with test splits: the share of them that is the test list, from the start after a shuffle with seed
            42; all, in their own order, if not given.
        first: how many records of the training splits are taken, from their start; all if not given. So a data set
            that no memory holds can be a task.
        elsewhere: address of data that are not on the hub, which then names nothing else: the task is built from raw
            files.
    """

    hub: Annotated[Text, checking(_is_on_hub)]
    config: Annotated[Text, checking(_are_folders)]
    revision: Annotated[Text, checking(_is_revision)]
    train: Splits
    test: Splits = ()
    holdout_seed: Annotated[int, whole(0, 2**32 - 1)] = 42
    holdout_sizes: Annotated[tuple[Size, Size] | None, Checked(_sizes)] = None
    holdout_test_from: Annotated[float, checking(_begin)] = 0.8
    test_share: Annotated[float | None, Checked(_share)] = None
    first: Annotated[int | None, whole(1)] = None
    elsewhere: str = ""

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        if "elsewhere" in content:
            if len(content) > 1:
                raise ValueError("has elsewhere, and then no other key")
            return cls("", "", "", (), elsewhere=as_text(content["elsewhere"], ".elsewhere"))
        if {"hub", "config", "revision", "train"} <= content.keys():
            cls._check_parts(content)
        return content

    @classmethod
    def _check_parts(cls, content: dict[Any, Any]) -> None:
        if ("test" in content) == ("holdout_seed" in content):
            raise ValueError("has either test (splits) or holdout_seed (the test list is cut off the pool)")
        for name in ("holdout_sizes", "holdout_test_from"):
            if name in content and "holdout_seed" not in content:
                raise ValueError(f"has {name} without holdout_seed")
        if "holdout_sizes" in content and "holdout_test_from" in content:
            raise ValueError("has either holdout_sizes or holdout_test_from")
        if "test_share" in content and "test" not in content:
            raise ValueError("has test_share without test, whose splits it is a share of")

    def __post_init__(self) -> None:
        if both := [split for split in self.test if split in self.train]:
            raise ValueError(f".test must be of other splits than source.train, and {shown(both[0])} is in both")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        reference = super().__get_pydantic_json_schema__(schema, handler)
        told = handler.resolve_ref_schema(reference)
        told["anyOf"] = [{"required": told.pop("required")}, {"required": ["elsewhere"]}]
        return reference

    def __str__(self) -> str:
        if self.elsewhere:
            return self.elsewhere
        return f"{self.hub} ({self.config}) at {self.revision}"
