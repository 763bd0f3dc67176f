"""A data folder's files against CrossFit's published MD5 sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.data.build.builds import read_builds
from mpt.data.build.checksums import md5, published
from mpt.data.fewshot.files import task_names
from mpt.data.tasks.known import catalogue
from mpt.util.errors import UserError
from mpt.util.names import nearest


@dataclass(frozen=True)
class Verdict:
    """File names of one task, by what their sums say.

    Attributes:
        matched: the sum is the published one.
        differs: it is not.
        unknown: none is published for a file of that name.
        note: what the catalogue says of the task's source, where that may be why whole splits differ.
        missing: a sum is published, and there is no such file.
        changed: of those that differ, the ones that are no longer as they were built, or stand among others of their
            split that match: damaged or changed by hand, whatever the source.
    """

    task: str
    matched: tuple[str, ...]
    differs: tuple[str, ...]
    unknown: tuple[str, ...]
    note: str = ""
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def verify(root: Path, names: Sequence[str] = ()) -> Iterator[Verdict]:
    """Compare every ``.tsv`` file in the tasks' folders.

    Args:
        root: a folder with one folder per task.
        names: the tasks; all that have such files if empty.

    Raises:
        UserError: no such folder, a task that is not in it or is named twice, no file to compare, an unreadable file, a
            ``build.json`` of another form.
    """
    if not root.is_dir():
        raise UserError(f"There is no data folder {root}; it is a folder with one folder per task.")
    there = [name for name in task_names(root) if any(root.joinpath(name).glob("*.tsv"))]
    if not there:
        hint = "; that looks like the folder of one task: give the one above it" if any(root.glob("*.tsv")) else ""
        raise UserError(f"{root} holds no folder <task> with few-shot files{hint}.")
    for place, name in enumerate(names):
        if name not in there:
            raise UserError(f"There is no task {name!r} with few-shot files in {root}; {nearest(name, there)}")
        if name in names[:place]:
            raise UserError(f"The task {name} is named twice.")
    return (_verdict(root / name) for name in names or there)


def _verdict(folder: Path) -> Verdict:
    task = folder.name
    sums = published().get(task, {})
    built = {name: sum for entry in read_builds(folder) for name, sum in entry["files"].items()}
    matched: list[str] = []
    differs: list[str] = []
    unknown: list[str] = []
    changed: list[str] = []
    for path in sorted(folder.glob("*.tsv")):
        try:
            found = md5(path) if path.name in sums else ""
        except OSError as error:
            raise UserError(f"Cannot read {path}: {error.strerror}.") from error
        kind = unknown if path.name not in sums else matched if found == sums[path.name] else differs
        kind.append(path.name)
        if kind is differs and found != built.get(path.name, found):
            changed.append(path.name)
    right = {_split(name) for name in matched}
    changed += [name for name in differs if name not in changed and name not in built and _split(name) in right]
    missing = [name for name in sums if not (folder / name).exists()]
    recipe = catalogue()[task].recipe if len(differs) > len(changed) and task in catalogue() else None
    return Verdict(
        task,
        tuple(matched),
        tuple(differs),
        tuple(unknown),
        recipe.note if recipe else "",
        tuple(missing),
        tuple(sorted(changed)),
    )


def _split(name: str) -> str:
    return name.rpartition("_")[2]
