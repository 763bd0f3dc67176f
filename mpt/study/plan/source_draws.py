"""The draws of source tasks that upstream runs read: those that are not there, told before the first run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mpt.data.fewshot.files import SYNTHETIC, TaskDraws
from mpt.data.tasks.task import Shots
from mpt.fit.resolve import ResolvedRun
from mpt.util.errors import UserError


def lacking(run: ResolvedRun, tasks: Sequence[str]) -> dict[str, str]:
    """By task, what an upstream run would miss of it, in a few words; nothing for a task that has all.

    Args:
        tasks: the source tasks that are under the data root.
    """
    root = str(run["data.root"])
    if root == SYNTHETIC:  # any draw can be made
        return {}
    parts = [run.get(f"data.{name}") or () for name in ("splits", "support_splits", "query_splits")]
    splits = list(dict.fromkeys(split for part in parts for split in part))
    seeds = run.get("data.seeds") or ()  # of what another package's data read nothing is known
    found = {}
    for task in tasks:
        if reason := _lacks(root, task, seeds, splits, run.get("data.k")):
            found[task] = reason
    return found


def complain(found: Mapping[str, str], root: str, file: str) -> None:
    """Refuse source tasks that lack something, naming every one."""
    if found:
        told = "; ".join(f"{task} ({reason})" for task, reason in found.items())
        build = f"mpt data build {' '.join(found)} --root {root}"
        raise UserError(
            f"{file}: source tasks in {root} lack draws that upstream runs read: {told}. Build them ({build}), or "
            "choose others by source_k, and by data.seeds among the overrides of each upstream"
        )


def _lacks(root: str, task: str, seeds: Sequence[int], splits: Sequence[str], k: Shots | None) -> str:
    try:
        draws = TaskDraws.of(root, task)
    except UserError:
        return "no few-shot file"
    sizes = sorted({size for size, _, _ in draws.files}, key=lambda size: (size == "all", size))
    there = " and ".join(map(str, sizes))
    if k is None and len(sizes) > 1:
        return f"k = {there}: choose one"
    if k is not None and k not in sizes:
        return f"no k = {k}; it has k = {there}"
    return ", ".join(_missing(draws, k if k is not None else sizes[0], seeds, splits))


def _missing(draws: TaskDraws, k: Shots, seeds: Sequence[int], splits: Sequence[str]) -> Iterator[str]:
    """The seeds without any of the splits, and the splits that others lack."""
    known = {(seed, split) for size, seed, split in draws.files if size == k}
    if any(split == "test" for _, split in known):  # that of another seed serves
        splits = [split for split in splits if split != "test"]
    gone = [seed for seed in seeds if splits and not any((seed, split) in known for split in splits)]
    if gone:
        yield f"no seed{'s' if len(gone) > 1 else ''} {', '.join(map(str, gone))}"
    for split in splits:
        if lone := [seed for seed in seeds if seed not in gone and (seed, split) not in known]:
            yield f"no {split} file of seed{'s' if len(lone) > 1 else ''} {', '.join(map(str, lone))}"
