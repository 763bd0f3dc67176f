"""What a run of each kind took: ``experiments/timings.csv``, by which ``mpt study plan`` tells hours before any run.

    python experiments/benchmarks/timings.py runs/english_classification experiments/results/english/longer/runs.tar.xz

Each place is a study's folder or an archive of one. Kinds of which no run is given keep their rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mpt.record.folder import RESULT
from mpt.study.forecast import DECIDES, Kind, kind_of

TABLE = Path(__file__).parents[1] / "timings.csv"
HEAD = ("stage", *DECIDES, "runs", "seconds")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("places", type=Path, nargs="+", help="folders of studies, or archives of them")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table, which is changed in place")
    options = parser.parse_args(arguments)
    took: dict[Kind, list[float]] = {}
    for result in (result for place in options.places for result in results(place)):
        took.setdefault(kind_of(result["stage"], result["recipe"]), []).append(result["seconds"])
    rows = _table(options.out)
    for kind, seconds in took.items():
        rows[tuple(value or "" for value in kind)] = (str(len(seconds)), f"{statistics.median(seconds):.1f}")
    with options.out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *sorted((*kind, *row) for kind, row in rows.items())])
    print(f"{len(took)} kinds of {sum(map(len, took.values()))} runs in {options.out}")


def results(place: Path) -> Iterator[dict[str, Any]]:
    """The contents of the result files of a folder or an archive."""
    if place.is_dir():
        yield from (json.loads(path.read_text(encoding="utf-8")) for path in sorted(place.rglob(RESULT)))
        return
    with tarfile.open(place) as archive:
        for name in sorted(archive.getnames()):
            if name.endswith(RESULT):
                yield json.loads(archive.extractfile(name).read())  # type: ignore[union-attr]


def _table(path: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Runs and seconds by kind."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {tuple(row[:-2]): tuple(row[-2:]) for row in list(csv.reader(file))[1:]}


if __name__ == "__main__":
    main()
