"""The key ``source`` of a catalogue file: a data set on the hub, and what of it is pool and test list.

Or, by the key ``elsewhere`` alone, the address of one that is not there.
"""

from __future__ import annotations

import re
from typing import Any

from mpt.data.catalogue.recipe import DataSource
from mpt.util.files import is_folder_name
from mpt.util.yaml_keys import Keys, shown, whole

_HUB = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")

_REQUIRED = ("hub", "config", "revision", "train")
_OPTIONAL = ("test", "holdout_seed", "holdout_sizes", "holdout_test_from", "test_share", "first")


def source_of(content: Any) -> DataSource:
    """Raises ValueError, with the key and what would be right, for what cannot be a source."""
    if isinstance(content, dict) and "elsewhere" in content:
        address = Keys(content, "source", ("elsewhere",)).text("elsewhere")
        return DataSource(hub="", config="", revision="", train=(), elsewhere=address)
    keys = Keys(content, "source", _REQUIRED, _OPTIONAL)
    hub, revision = keys.text("hub"), keys.text("revision")
    if not _HUB.fullmatch(hub):
        raise ValueError(f"source.hub must be organisation/name, as nyu-mll/glue is, not {shown(hub)}")
    if not revision.isprintable() or " " in revision:
        raise ValueError(f"source.revision must be a branch, a tag or a commit, not {shown(revision)}")
    [config] = _folders(keys, "config", (keys.text("config"),))
    train = _folders(keys, "train", keys.texts("train"))
    if ("test" in keys) == ("holdout_seed" in keys):
        raise ValueError("source has either test (splits) or holdout_seed (the test list is cut off the pool)")
    for name in ("holdout_sizes", "holdout_test_from"):
        if name in keys and "holdout_seed" not in keys:
            raise ValueError(f"source has {name} without holdout_seed")
    if "holdout_sizes" in keys and "holdout_test_from" in keys:
        raise ValueError("source has either holdout_sizes or holdout_test_from")
    test = _folders(keys, "test", keys.texts("test")) if "test" in keys else ()
    if both := [split for split in test if split in train]:
        raise ValueError(f"source.test must be of other splits than source.train, and {shown(both[0])} is in both")
    return DataSource(
        hub=hub,
        config=config,
        revision=revision,
        train=train,
        test=test,
        holdout_seed=keys.whole("holdout_seed", default=42, least=0, most=2**32 - 1),
        holdout_sizes=_sizes(keys["holdout_sizes"]) if "holdout_sizes" in keys else None,
        holdout_test_from=_test_from(keys) if "holdout_test_from" in keys else 0.8,
        test_share=_test_share(keys) if "test_share" in keys else None,
        first=keys.whole("first", default=1, least=1) if "first" in keys else None,
    )


def _folders(keys: Keys, name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Configuration and split are folders in the hub's Parquet branch."""
    for one in given:
        if not is_folder_name(one):
            raise ValueError(f"{keys.dotted(name)} names {shown(one)}, which cannot be a name there: it is no folder's")
    return given


def _sizes(content: Any) -> tuple[int, int]:
    key = "source.holdout_sizes"
    if not isinstance(content, list) or len(content) != 2:
        given = f"a list of {len(content)}" if isinstance(content, list) else shown(content)
        raise ValueError(f"{key} must be two whole numbers, the records of the pool and of the test list, not {given}")
    pool, test = (whole(size, f"each of {key}", 1) for size in content)
    return pool, test


def _test_from(keys: Keys) -> float:
    begin = keys.number("holdout_test_from")
    if not 0.8 <= begin < 1:
        raise ValueError(
            "source.holdout_test_from must be at least 0.8, where the pool ends, and less than 1, not "
            f"{shown(keys['holdout_test_from'])}"
        )
    return begin


def _test_share(keys: Keys) -> float:
    if "test" not in keys:
        raise ValueError("source has test_share without test, whose splits it is a share of")
    share = keys.number("test_share")
    if not 0 < share < 1:
        raise ValueError(f"source.test_share must be between 0 and 1, not {shown(keys['test_share'])}")
    return share
