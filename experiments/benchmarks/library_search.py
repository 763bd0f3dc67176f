"""Time and memory of a search among many stored prompts of mpt-tiny's size.

    python experiments/benchmarks/library_search.py
    python experiments/benchmarks/library_search.py --entries 2000 --folder library --out library_search.csv

Random prompts are added one by one (with --folder, those that are there already are kept). Then, each in a process of
its own:

- ``index``: the first search of all, which reads every entry and writes the index;
- ``load``: the first search of a process that finds the index; what a command such as ``mpt library search`` waits for;
- ``search``: the next ones of that process (median, and the slowest), each for another key;
- ``added``: one after an entry was added, so that the folder is listed again;
- ``list``: all entries, as ``mpt library list`` shows them.

Memory is above the point "libraries imported, nothing opened". Resident: at most, pages of mapped files included, which
the system takes back when others need them. Own: what only this process has, at the end.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import forget_resident_peak, resident, run_apart  # type: ignore[import-not-found]  # beside this script

WIDTH = 96
TASKS = 500
FINGERPRINT = "bc998d41345dc9d6"
ROWS = (
    ("added_ms", "adding an entry [ms]"),
    ("index_s", "first search of all, index made [s]"),
    ("load_s", "first search of a process, index there [s]"),
    ("search_ms", "a search after it, median [ms]"),
    ("slowest_ms", "a search after it, slowest [ms]"),
    ("after_add_ms", "a search after an entry was added [ms]"),
    ("list_s", "all entries listed [s]"),
    ("index_mb", "index on disk [MB]"),
    ("index_resident_mb", "index made: peak memory, resident [MB]"),
    ("index_own_mb", "index made: own memory [MB]"),
    ("resident_mb", "searches: peak memory, resident [MB]"),
    ("own_mb", "searches: own memory [MB]"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--entries", type=int, default=100_000, help="stored prompts (default: 100,000)")
    parser.add_argument("--length", type=int, default=20, help="rows of a prompt (default: 20)")
    parser.add_argument("--searches", type=int, default=50, help="timed searches (default: 50)")
    parser.add_argument("--by", default="per_token", help="similarity (default: per_token)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--folder", type=Path, help="of the library, which is kept (default: a temporary one)")
    parser.add_argument("--out", type=Path, help="CSV file for the figures")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        return measure(json.loads(options.measure))

    with tempfile.TemporaryDirectory() as workspace:
        folder = (options.folder or Path(workspace) / "library").resolve()
        job = {"workspace": workspace, "folder": str(folder)}
        job |= {name: getattr(options, name) for name in ("entries", "length", "searches", "by", "threads")}
        figures: dict[str, Any] = {}
        for way in ("fill", "index", "load"):
            figures |= run_apart(__file__, {**job, "way": way})
            print(f"{way}: done", file=sys.stderr)
    print(f"{options.entries} prompts [{options.length}, {WIDTH}], by {options.by}, {options.threads} threads")
    for key, title in ROWS:
        print(f"{title:<46}{figures[key]:>10.2f}")
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["entries", "length", "by", *figures])
            writer.writeheader()
            writer.writerow({name: getattr(options, name) for name in ("entries", "length", "by")} | figures)


# The child: one measurement -------------------------------------------------------------------------------


def measure(job: dict[str, Any]) -> None:
    import torch

    from mpt.library.library import Library

    torch.set_num_threads(job["threads"])
    ways = {"fill": fill, "index": first_of_all, "load": load_and_search}
    figures = ways[job["way"]](Library, job)
    Path(job["result"]).write_text(json.dumps(figures))


def draw(number: int, length: int) -> Any:
    """A key of a task: what its entries share, and a part of its own."""
    import torch

    task = torch.Generator().manual_seed(number % TASKS)
    own = torch.Generator().manual_seed(number)
    return torch.randn(length, WIDTH, generator=task) + torch.randn(length, WIDTH, generator=own)


def fill(library_class: Any, job: dict[str, Any]) -> dict[str, float]:
    from mpt.library.recipe import KeyRecipe

    library = library_class.create(job["folder"], KeyRecipe("mpt-tiny", job["length"], 20, 0.3, 8, 13))
    there = len(list((library.folder / "prompts").glob("*")))
    start = time.perf_counter()
    for number in range(there, job["entries"]):
        add(library, number, job["length"])
    added = job["entries"] - there
    return {"added_ms": 1e3 * (time.perf_counter() - start) / added if added else float("nan")}


def add(library: Any, number: int, length: int) -> None:
    key = draw(number, length)
    facts = {"fingerprint": FINGERPRINT, "task": f"task-{number % TASKS}", "seed": number, "dev_score": 0.5}
    library.add(f"prompt-{number:07}", key, key * 2, facts, decoder_only=False)


def first_of_all(library_class: Any, job: dict[str, Any]) -> dict[str, float]:
    import shutil

    shutil.rmtree(Path(job["folder"]) / ".index", ignore_errors=True)
    before, own = forget_resident_peak(), resident("RssAnon")
    seconds = timed(lambda: search(library_class.open(job["folder"]), job, 0))
    index = sum(path.stat().st_size for path in (Path(job["folder"]) / ".index").rglob("*") if path.is_file())
    return {
        "index_s": seconds,
        "index_mb": index / 1e6,
        "index_resident_mb": (resident("VmHWM") - before) / 1e6,
        "index_own_mb": (resident("RssAnon") - own) / 1e6,
    }


def load_and_search(library_class: Any, job: dict[str, Any]) -> dict[str, float]:
    import shutil

    library: Any = None

    def load() -> None:
        nonlocal library
        library = library_class.open(job["folder"])
        search(library, job, 0)

    before, own = forget_resident_peak(), resident("RssAnon")
    figures = {"load_s": timed(load)}
    times = [timed(lambda number=number: search(library, job, number)) for number in range(1, job["searches"] + 1)]
    figures |= {"search_ms": 1e3 * statistics.median(times), "slowest_ms": 1e3 * max(times)}
    # One more than there should be is taken away again, so that the folder can be used for another measurement.
    add(library, job["entries"], job["length"])
    figures["after_add_ms"] = 1e3 * timed(lambda: search(library, job, 0))
    shutil.rmtree(library.folder / "prompts" / f"prompt-{job['entries']:07}")
    figures["resident_mb"] = (resident("VmHWM") - before) / 1e6
    figures["own_mb"] = (resident("RssAnon") - own) / 1e6
    figures["list_s"] = timed(library.entries)
    return figures


def search(library: Any, job: dict[str, Any], number: int) -> None:
    hits = library.search(draw(number, job["length"]), 5, job["by"], fingerprint=FINGERPRINT)
    assert len(hits) == min(5, job["entries"])


def timed(do: Any) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
