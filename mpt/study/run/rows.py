"""A study's runs as rows, for a notebook."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpt.study.run.results import read_study

_LISTS = ("recipe", "arguments", "environment", "fingerprint")


def study_results(folder: Path | str) -> list[dict[str, Any]]:
    """A row per planned run: what it is (method, target, seed, …), its scores, or why it failed.

    ``pandas.DataFrame(study_results(folder))`` makes a frame of them. Of a run that is not finished the scores are
    left out.

    Raises:
        UserError: the folder holds no study.
    """
    rows = []
    for record in read_study(Path(folder))[1]:
        row = asdict(record)
        result = row.pop("result") or {}
        rows.append({**row, **{name: value for name, value in result.items() if name not in _LISTS}})
    return rows
