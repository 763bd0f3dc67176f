"""Many at once: nothing is lost or done twice, and memory stays bounded.

    python experiments/benchmarks/load.py library --entries 10000 --writers 20 --readers 20
    python experiments/benchmarks/load.py study --runs 1000 --processes 8
    python experiments/benchmarks/load.py predict --rows 1000000

- ``library``: writers add their share of the entries to one library while readers search it;
- ``study``: several ``mpt study run`` share the runs of one study, each of one step on mpt-tiny;
- ``predict``: ``mpt predict`` answers a CSV file by a prompt of the library ``synthetic``.

What was lost, done twice or refused is counted, and is to be 0. CPU seconds are of all processes, imports included;
memory is the largest that any of them had resident.
"""

from __future__ import annotations

import argparse
import collections
import csv
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TEXT = "report : a sailor scorns a boiling desk in the garden at lunch . heat ?"
WIDTH, LENGTH, FINGERPRINT = 96, 20, "bc998d41345dc9d6"
OWN = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("what", choices=("library", "study", "predict"))
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    os.environ.update(OWN)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        ways = {"library": load_library, "study": load_study, "predict": load_predict}
        found = ways[options.what](Path(folder), options)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    found |= {"seconds": time.perf_counter() - begin, "cpu_seconds": spent.ru_utime + spent.ru_stime}
    found["memory_mb"] = spent.ru_maxrss / 1024
    for name, value in found.items():
        print(f"{name:>12}: {value:,.0f}")
    return found


def load_library(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from mpt.library.library import Library
    from mpt.library.recipe import KeyRecipe

    place, share = folder / "library", options.entries // options.writers
    Library.create(place, KeyRecipe("mpt-tiny", LENGTH, key_steps=10, learning_rate=0.3, batch_size=8, seed=1))
    fork = multiprocessing.get_context("fork")  # forty imports of torch would be most of the time
    ended, searched = fork.Event(), fork.Queue()
    writers = [fork.Process(target=_write, args=(place, number, share)) for number in range(options.writers)]
    readers = [fork.Process(target=_read, args=(place, number, ended, searched)) for number in range(options.readers)]
    for process in (*writers, *readers):
        process.start()
    for process in writers:
        process.join()
    ended.set()
    counts = [searched.get() for _ in readers]
    for process in readers:
        process.join()
    names = collections.Counter(entry.name for entry in Library.open(place).entries())
    wanted = {f"w{writer}-{number}" for writer in range(options.writers) for number in range(share)}
    return {
        "entries": len(names),
        "lost": len(wanted - set(names)),
        "twice": sum(count - 1 for count in names.values()),
        "failed": sum(process.exitcode != 0 for process in (*writers, *readers)),
        "refused": len(Library.open(place).refused) + sum(refused for _, refused in counts),
        "searches": sum(count for count, _ in counts),
    }


def _write(place: Path, writer: int, share: int) -> None:
    import torch

    from mpt.library.library import Library

    library, rng = Library.open(place), torch.Generator().manual_seed(writer)
    for number in range(share):
        key, value = (torch.randn(LENGTH, WIDTH, generator=rng) for _ in range(2))
        facts = {"fingerprint": FINGERPRINT, "task": f"task-{number % 500}", "seed": number}
        library.add(f"w{writer}-{number}", key, value, facts, decoder_only=False)


def _read(place: Path, reader: int, ended: Any, searched: Any) -> None:
    import torch

    from mpt.library.library import Library

    library, rng, count = Library.open(place), torch.Generator().manual_seed(reader), 0
    while not ended.is_set():
        hits = library.search(torch.randn(LENGTH, WIDTH, generator=rng), 10, fingerprint=FINGERPRINT)
        assert all(library.value(hit.entry).shape == (LENGTH, WIDTH) for hit in hits)
        count += 1
        ended.wait(0.2)
    searched.put((count, len(library.refused)))


def load_study(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from mpt.data.tasks.partitions import load_partition

    targets, seeds = load_partition("synthetic-random-to-random").target, [13, 21, 42, 87, 100]
    lengths = -(-options.runs // (len(targets) * len(seeds)))
    count = lengths * len(targets) * len(seeds)
    (folder / "study.yaml").write_text(f"""
name: load
backbone: mpt-tiny
root: synthetic
partition: synthetic-random-to-random
targets: {[*targets]}
seeds: {seeds}
baseline: PT-1
overrides: {{trainer.max_steps: 1, trainer.val_check_interval: 1, data.test_examples: 1, trainer.logger: false}}
methods:
  PT:
    downstream:
      config: prompt_tuning
      vary: {{model.prompt_length: {[*range(1, lengths + 1)]}}}
""")
    command = [sys.executable, "-m", "mpt", "study", "run", "study.yaml", "--out", "out", "--workers", "1"]
    at_work = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(options.processes)
    ]
    failed = sum(process.wait() != 0 for process in at_work)
    logs = [path.read_text(encoding="utf-8") for path in (folder / "out").glob("PT-*/*/log.txt")]
    ends = [text.count("study: finished") for text in logs]
    results = len([*(folder / "out").glob("PT-*/*/result.json")])
    found = {"runs": results, "lost": count - results, "failed": failed}
    return {**found, "twice": sum(count - 1 for count in ends if count)}


def load_predict(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    words = TEXT.split()
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "text"])
        for number in range(options.rows):
            at = number % len(words)
            rows.writerow([number, " ".join([*words[at:], *words[:at]])])
    command = [sys.executable, "-m", "mpt", "predict", "synthetic:syn-heat-diary-13", "rows.csv", "--out", "out.csv"]
    subprocess.run([*command, "--labels", "plus", "minus"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        ids = collections.Counter(int(row["id"]) for row in csv.DictReader(file))
    twice = sum(count - 1 for count in ids.values())
    return {"rows": len(ids), "lost": len(set(range(options.rows)) - set(ids)), "twice": twice}


if __name__ == "__main__":
    main()
