"""Tasks that are named but not in the data folder: told all at once, or left out where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from mpt.data.fewshot.files import SYNTHETIC, task_names
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.mixtures import mixture_names
from mpt.util.names import nearest
from mpt.util.yaml_file import is_yaml

Missing = Literal["error", "skip"]
"""What is done about tasks that are not there."""

MISSING: tuple[Missing, ...] = ("error", "skip")


def absent(tasks: Iterable[str], root: str | Path) -> list[str]:
    """Those of some tasks that are not under a data root, in their order; a user's own needs none."""
    known = set(task_names(root))
    return [task for task in tasks if task not in known and not is_yaml(task)]


def what_to_do(missing: Sequence[str], root: str | Path, partition: str | None, skip: str) -> str:
    """The end of a complaint about missing tasks: how to have them, and how to do without.

    Args:
        missing: the tasks.
        partition: name or file of the one partition that they are of.
        skip: the words that leave them out.
    """
    known = {*task_names(root), *catalogue(), *synthetic_tasks()}
    strange = [task for task in missing if task not in known]
    if strange:
        return f"{strange[0]} is not in the catalogue either; {nearest(strange[0], known.union(mixture_names()))}"
    if str(root) == SYNTHETIC:
        return f"The word {SYNTHETIC} stands for the embedded suite; give a folder of CrossFit's files as root."
    # As many as one wants to read; a partition's other tasks are not built twice.
    what = f"--partition {partition}" if partition is not None and len(missing) > 3 else " ".join(missing)
    return f"Build them (mpt data build {what} --root {root}), or leave them out by {skip}."
