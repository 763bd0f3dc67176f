"""Which source tasks a prompt is learned on, as the data modules' options name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytorch_lightning.utilities import rank_zero_info

from mpt.data.fewshot.files import SYNTHETIC, find_task, has_labels, labels_of, task_names
from mpt.data.fewshot.missing import MISSING, absent, what_to_do
from mpt.data.tasks.mixtures import expanded
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Example, is_text
from mpt.library.retrieval import Retrieval
from mpt.util.errors import UserError


def check_sources(
    tasks: Sequence[str] | None,
    partition: str | None,
    seeds: Sequence[int],
    missing: str,
    retrieved: Retrieval | None = None,
    **splits: Sequence[str],
) -> None:
    """Complain of options that cannot be right, before any file is looked at.

    Args:
        retrieved: names the tasks in place of the first two.
        splits: values of options that name parts of a draw, by the option's name.

    Raises:
        UserError: what is wrong, by option.
    """
    if retrieved is not None and (tasks is not None or partition is not None):
        raise UserError(
            "Source tasks are retrieved (--data.retrieved) or named, and not both; set --data.tasks and "
            "--data.partition to null."
        )
    if retrieved is None and (tasks is None) == (partition is None):
        raise UserError("Source tasks are named by either --data.tasks or --data.partition, and not both.")
    if tasks is not None and (not tasks or len(set(tasks)) < len(tasks)):
        raise UserError(f"--data.tasks must name one task or more, each once, not {tasks}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"--data.seeds must name one draw or more, each once, not {list(seeds)}.")
    if missing not in MISSING:
        raise UserError(f"--data.missing is one of {', '.join(MISSING)}, not {missing!r}.")
    for option, parts in splits.items():
        if not parts or set(parts) - {"train", "dev", "test"}:
            raise UserError(f"--data.{option} must name train, dev or test, not {list(parts)}.")


def source_names(
    tasks: Sequence[str] | None,
    partition: str | None,
    root: str,
    validation: Sequence[str] = (),
    missing: str = "error",
    retrieved: Retrieval | None = None,
    target: str | None = None,
) -> list[str]:
    """The source tasks: those named, a partition's, or those retrieved.

    Args:
        missing: ``skip`` leaves out those that are not under the root, and says so.
        retrieved: names the tasks in place of the first two, and says which.
        target: a task that is learned on as well.

    Raises:
        UserError: source or validation tasks that are not under the root, all of them; no source task that is; or a
            task that is both, or also the target.
    """
    if retrieved is not None:
        names = [hit.entry.task for hit in retrieved.hits]
        rank_zero_info(f"retrieved from {retrieved.library}: {', '.join(names)}")
        option = "retrieved"
    else:
        names = expanded(tasks, task_names(root)) if tasks is not None else list(load_partition(str(partition)).source)
        option = "tasks" if partition is None else "partition"
    if gone := absent(names, root):
        if missing != "skip":
            end = what_to_do(gone, root, partition, "--data.missing skip")
            raise UserError(f"These source tasks of --data.{option} are not in {root}: {', '.join(gone)}. {end}")
        if len(gone) == len(names):
            raise UserError(f"None of the source tasks of --data.{option} is in {root}: {', '.join(gone)}.")
        rank_zero_info(f"left out {len(gone)} of {len(names)} source tasks, not in {root}: {', '.join(gone)}")
        names = [name for name in names if name not in gone]
    if gone := absent(validation, root):
        raise UserError(f"These tasks of --data.validation are not in {root}: {', '.join(gone)}.")
    if learned := [name for name in validation if name in names]:
        raise UserError(f"--data.validation names source tasks, which are not held out: {', '.join(learned)}.")
    if target in names:
        raise UserError(f"--data.target {target} is among the source tasks of --data.{option}; leave it out of them.")
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


def source_outputs(root: str, pools: Mapping[str, Sequence[Example]], drawn: bool) -> list[Outputs]:
    """The outputs of tasks that are learned on together and not scored; none of unlabelled text."""
    return [
        Outputs(name, {"train": pool}, labels=source_labels(root, {name: pool}), drawn=drawn)
        for name, pool in pools.items()
        if not is_text(pool)
    ]
