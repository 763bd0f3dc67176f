"""Making one task's few-shot files: all that are asked for, or none.

A task's folder also holds ``build.json``: for each build, where its records came from and the MD5 sum of each file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from mpt.data.build.builds import origin, raw_sums, read_builds
from mpt.data.build.checksums import md5
from mpt.data.build.hub import Fetch
from mpt.data.build.lossy import Lossy
from mpt.data.build.pool import hub_pool, raw_pool
from mpt.data.catalogue.recipe import Record
from mpt.data.fewshot.files import BUILD
from mpt.data.tasks.sampling import draw, shuffled
from mpt.data.tasks.task import Shots, Task
from mpt.util.errors import UserError
from mpt.util.files import is_folder_name, new_folder, write_json

SEEDS = (100, 13, 21, 42, 87)
"""CrossFit's draws."""

_SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class BuildJob:
    """What is to be built of a task, and where.

    Attributes:
        root: the data folder; the files are ``<root>/<task>/<task>_<k>_<seed>_{train,dev,test}.tsv``.
        ks: sizes of the draws; none for CrossFit's own, 16 by label and 32 in all.
        seeds: a draw each.
        raw: folder of raw files; the hub if none.
        overwrite: make all files that are asked for, in place of those that are there.
    """

    task: Task
    root: Path
    ks: tuple[Shots, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    raw: Path | None = None
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        return self.root / self.task.name

    @property
    def sizes(self) -> tuple[Shots, ...]:
        return self.ks or ((16,) if self.task.by_label else (32,))

    @property
    def files(self) -> list[str]:
        """The names of the files that are asked for."""
        return [self.file(k, seed, split) for k in self.sizes for seed in self.seeds for split in _SPLITS]

    @property
    def source(self) -> dict[str, Any]:
        """Where the records come from, as ``build.json`` says it."""
        recipe = self.task.recipe
        where = str(self.raw.resolve()) if self.raw is not None else str(recipe.source) if recipe else ""
        return {"source": where, "version": recipe.version if recipe is not None and self.raw is None else None}

    def file(self, k: Shots, seed: int, split: str) -> str:
        return f"{self.task.name}_{k}_{seed}_{split}.tsv"


class Result(str):
    """``built`` or ``there already``, with what else a user should know."""

    note: str

    def __new__(cls, word: str, note: str = "") -> Result:
        result = super().__new__(cls, word)
        result.note = note
        return result


def build(job: BuildJob, fetch: Fetch) -> Result:
    """Make a task's files unless they are there.

    The folder changes from what it was to what was asked for in one step; files of other draws stay in it.

    Raises:
        UserError: files that were made otherwise are there, and ``overwrite`` is not set; what is wrong with the
            source; a pool too small for a draw, after the files of the other sizes were made.
    """
    check_inside(job.root, job.task.name)
    builds = read_builds(job.folder)
    if not job.overwrite:
        if not builds and all((job.folder / name).is_file() for name in job.files):
            return Result("there already", "by another hand, and left as it is")
        _refuse_what_was_made_otherwise(job, builds)
        if _is_there(job, builds):
            return Result("there already")
    pool = raw_pool(job.task, job.raw) if job.raw is not None else hub_pool(job.task, fetch)
    job, too_large = _servable(job, pool.train)
    lossy = Lossy(job.task)
    with new_folder(job.folder) as fresh:
        sums = _write_test(job, fresh, lossy.watched(pool.test))
        made = {"train": _digest(pool.train), "test": next(iter(sums.values()))}
        if not job.overwrite and any(entry["pool"] != made for entry in builds):
            raise UserError(_otherwise(job, "from a source that has changed since"))
        sums |= _write_draws(job, fresh, pool.train, lossy)
        left = ({name: sum for name, sum in entry["files"].items() if name not in sums} for entry in builds)
        kept = [{**entry, "files": files} for entry, files in zip(builds, left, strict=True) if files]
        same = next((entry for entry in kept if origin(entry) == job.source and entry["pool"] == made), None)
        if same is None:
            kept.append({**job.source, "pool": made, "files": sums})
        else:
            same["files"] |= sums
        _keep_others(job.folder, fresh)
        write_json(fresh / BUILD, kept)
    if too_large:
        raise UserError(f"{too_large}; the files of the other sizes were built.")
    return Result("built", lossy.note)


def _servable(job: BuildJob, pool: list[Record]) -> tuple[BuildJob, str]:
    """The job without the sizes for which the pool leaves no dev example, and a sentence's beginning about these."""
    # Whether there is one does not depend on the order of the pool.
    lacking = [k for k in job.sizes if not draw(pool, k, job.task.by_label)[1]]
    if not lacking:
        return job, ""
    told = f"its training pool of {len(pool)} records leaves none for dev at k = {', '.join(map(str, lacking))}"
    left = tuple(k for k in job.sizes if k not in lacking)
    if not left:
        raise UserError(f"{told}.")
    return replace(job, ks=left), told


def check_inside(root: Path, name: str) -> None:
    """Complain of a task whose folder would not be a folder of the root."""
    if not is_folder_name(name) or name.startswith("."):
        raise UserError(f"The task name {name!r} cannot be the name of a folder in {root}.")
    folder = root / name
    if folder.is_symlink():
        raise UserError(
            f"{folder} is a link to {os.readlink(folder)}, and files are written into {root} alone; remove the link."
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; it must be the task's folder, so move the file away.")


def _refuse_what_was_made_otherwise(job: BuildJob, builds: list[dict[str, Any]]) -> None:
    raw = raw_sums(job.raw, job.task.name) if job.raw is not None else None
    # What was made is known by what is in it: raw files may lie elsewhere now, and be what the hub gave.
    same = raw or next((entry["pool"] for entry in builds if origin(entry) == job.source), None)
    for entry in builds:
        if entry["pool"] == same:
            continue
        if origin(entry) == job.source:
            if raw is not None:
                raise UserError(_otherwise(job, "from a source that has changed since"))
            continue
        version = f" (version {entry['version']})" if entry["version"] is not None else ""
        raise UserError(_otherwise(job, f"from {entry['source']}{version}"))
    known = {name for entry in builds for name in entry["files"]}
    if foreign := [name for name in job.files if name not in known and (job.folder / name).exists()]:
        raise UserError(_otherwise(job, f"not by mpt data build ({foreign[0]})"))


def _otherwise(job: BuildJob, how: str) -> str:
    return f"{job.folder} holds files that were made {how}; --overwrite replaces them."


def _is_there(job: BuildJob, builds: list[dict[str, Any]]) -> bool:
    """Whether every file that is asked for is there, as it was written."""
    known = {name: sum for entry in builds for name, sum in entry["files"].items()}
    sums: dict[int, str] = {}  # by inode: the test files are one file by several names
    for name in job.files:
        path = job.folder / name
        if name not in known or not path.is_file():
            return False
        inode = path.stat().st_ino
        if inode not in sums:
            sums[inode] = md5(path)
        if sums[inode] != known[name]:
            raise UserError(_otherwise(job, f"and then changed ({name})"))
    return True


def _write_test(job: BuildJob, folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The test list under the name of every draw: one file with several names where the disk allows it."""
    names = [job.file(k, seed, "test") for k in job.sizes for seed in job.seeds]
    sum = _write(folder / names[0], records)
    for name in names[1:]:
        link(folder / names[0], folder / name)
    return dict.fromkeys(names, sum)


def _write_draws(job: BuildJob, folder: Path, pool: list[Record], lossy: Lossy) -> dict[str, str]:
    sums = {}
    for seed in job.seeds:
        order = shuffled(pool, seed)
        for k in job.sizes:
            for split, records in zip(("train", "dev"), draw(order, k, job.task.by_label), strict=True):
                name = job.file(k, seed, split)
                sums[name] = _write(folder / name, lossy.watched(records))
    return sums


def _write(path: Path, records: Iterable[Record]) -> str:
    """Write a file and return its MD5 sum; it must not be empty."""
    with path.open("wb") as file:
        digest = _digest(records, file)
        if not file.tell():
            raise UserError("its test list is empty.")
    return digest


def _digest(records: Iterable[Record], file: BinaryIO | None = None) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for record in records:
        line = f"{record.input}\t{record.output}\n".encode()
        digest.update(line)
        if file is not None:
            file.write(line)
    return digest.hexdigest()


def _keep_others(old: Path, fresh: Path) -> None:
    """Have what else the old folder holds in the fresh one too."""
    if old.is_dir():
        for path in old.iterdir():
            if (fresh / path.name).exists() or path.name == BUILD:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, fresh / path.name, symlinks=True)
            else:
                link(path, fresh / path.name)


def link(path: Path, other: Path) -> None:
    """The same file by another name, or a copy."""
    try:
        os.link(path, other, follow_symlinks=False)
    except OSError:  # a disk without hard links
        shutil.copy2(path, other, follow_symlinks=False)
