"""Which source tasks a prompt is learned on, as the data modules' options name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpt.data.fewshot import SYNTHETIC, find_task, has_labels, labels_of, task_names
from mpt.data.partitions import load_partition
from mpt.data.tasks import Example
from mpt.errors import UserError


def check_sources(
    tasks: Sequence[str] | None, partition: str | None, seeds: Sequence[int], **splits: Sequence[str]
) -> None:
    """Complain of options that cannot be right, before any file is looked at.

    Args:
        splits: values of options that name parts of a draw, by the option's name.

    Raises:
        UserError: what is wrong, by option.
    """
    if (tasks is None) == (partition is None):
        raise UserError("Source tasks are named by either --data.tasks or --data.partition, and not both.")
    if tasks is not None and (not tasks or len(set(tasks)) < len(tasks)):
        raise UserError(f"--data.tasks must name one task or more, each once, not {tasks}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"--data.seeds must name one draw or more, each once, not {list(seeds)}.")
    for option, parts in splits.items():
        if not parts or set(parts) - {"train", "dev", "test"}:
            raise UserError(f"--data.{option} must name train, dev or test, not {list(parts)}.")


def source_names(
    tasks: Sequence[str] | None, partition: str | None, root: str, validation: Sequence[str] = ()
) -> list[str]:
    """The source tasks: those named, or a partition's.

    Raises:
        UserError: source or validation tasks that are not under the root, or a task that is both.
    """
    names = list(tasks) if tasks is not None else list(load_partition(str(partition)).source)
    known = set(task_names(root))
    for option, wanted in (("tasks" if partition is None else "partition", names), ("validation", validation)):
        if missing := [name for name in wanted if name not in known]:
            raise UserError(f"These tasks of --data.{option} are not in {root}: {', '.join(missing)}.")
    if learned := [name for name in validation if name in names]:
        raise UserError(f"--data.validation names source tasks, which are not held out: {', '.join(learned)}.")
    return names


def source_labels(root: str, pools: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    """The label words of all tasks, from the examples of each; a task without label words adds none."""
    labels: list[str] = []
    for name, examples in pools.items():
        if root == SYNTHETIC:
            labels += find_task(root, name).labels
        elif has_labels(name):
            labels += labels_of(examples)
    return tuple(dict.fromkeys(labels))
