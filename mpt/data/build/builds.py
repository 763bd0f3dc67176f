"""What ``build.json`` in a task's folder says of how its files were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpt.data.build.checksums import md5
from mpt.data.build.raw import raw_files
from mpt.data.fewshot.files import BUILD
from mpt.util.errors import UserError
from mpt.util.reading import parse_json, read_bytes


def read_builds(folder: Path) -> list[dict[str, Any]]:
    """A dictionary for each build: ``source``, ``version``, ``pool`` and ``files``; none if there is no such file.

    Raises:
        UserError: the file is of another form.
    """
    path = folder / BUILD
    try:
        builds = parse_json(read_bytes(path).decode("utf-8"))
        if not isinstance(builds, list):
            raise TypeError
        for entry in builds:
            if not isinstance(entry["files"], dict) or {"source", "version"} - entry.keys():
                raise ValueError
            _ = entry["pool"]["train"], entry["pool"]["test"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path} was not written by mpt data build; remove {folder} to have it made anew.") from None
    return builds


def origin(entry: dict[str, Any]) -> dict[str, Any]:
    """Where the records of a build came from."""
    return {"source": entry["source"], "version": entry["version"]}


def raw_sums(folder: Path, task: str) -> dict[str, str] | None:
    """The MD5 sums of a task's raw files, which are those of the pool made from them; None where they are gone."""
    try:
        train, test = raw_files(folder, task)
        return {"train": md5(train), "test": md5(test)}
    except (UserError, OSError):
        return None
