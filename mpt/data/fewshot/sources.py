"""Which source tasks a prompt is learned on, as the data modules' options name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytorch_lightning.utilities import rank_zero_info

from mpt.data.fewshot.files import SYNTHETIC, find_task, has_labels, labels_of, task_names
from mpt.data.fewshot.missing import MISSING, absent, what_to_do
from mpt.data.tasks.mixtures import expanded
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Example, Shots, is_text
from mpt.library.retrieval import Retrieval
from mpt.util.errors import UserError
from mpt.util.yaml_file import called, is_yaml


@dataclass(frozen=True)
class Sources:
    """The source tasks of a data module, and what of each is read: the options of these names, checked.

    Attributes:
        tasks: names of tasks and mixtures, and paths of a user's own; or None, where a partition or what is retrieved
            names them.
        partition: its source tasks are learned on.
        root: the data folder, or ``synthetic``.
        seeds: the draws that are read.
        k: their size.
        missing: ``skip`` leaves out tasks that are not under the root, and says so.
        retrieved: names the tasks in place of the first two.
        validation: tasks that are held out.
        target: a task that is learned on as well.

    Raises:
        UserError: options that cannot be right, before any file is looked at.
    """

    tasks: Sequence[str] | None = None
    partition: str | None = None
    root: str = SYNTHETIC
    seeds: Sequence[int] = (13,)
    k: Shots | None = None
    missing: str = "error"
    retrieved: Retrieval | None = None
    validation: Sequence[str] = ()
    target: str | None = None

    def __post_init__(self) -> None:
        if self.retrieved is not None and (self.tasks is not None or self.partition is not None):
            raise UserError(
                "Source tasks are retrieved (--data.retrieved) or named, and not both; set --data.tasks and "
                "--data.partition to null."
            )
        if self.retrieved is None and (self.tasks is None) == (self.partition is None):
            raise UserError("Source tasks are named by either --data.tasks or --data.partition, and not both.")
        if self.tasks is not None and (not self.tasks or len(set(self.tasks)) < len(self.tasks)):
            raise UserError(f"--data.tasks must name one task or more, each once, not {self.tasks}.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"--data.seeds must name one draw or more, each once, not {list(self.seeds)}.")
        if self.missing not in MISSING:
            raise UserError(f"--data.missing is one of {', '.join(MISSING)}, not {self.missing!r}.")

    def names(self) -> list[str]:
        """The source tasks: those named, a partition's, or those retrieved; a user's own by its path.

        Raises:
            UserError: source or validation tasks that are not under the root, all of them; no source task that is; or
                a task that is both, or also the target.
        """
        root = self.root
        if self.retrieved is not None:
            names = [hit.entry.task for hit in self.retrieved.hits]
            rank_zero_info(f"retrieved from {self.retrieved.library}: {', '.join(names)}")
            files = {called(file): file for file in self.retrieved.own}
            names = [files.get(name, name) for name in names]
            option = "retrieved"
        elif self.tasks is not None:
            names, option = expanded(self.tasks, task_names(root)), "tasks"
        else:
            names, option = list(load_partition(str(self.partition)).source), "partition"
        if gone := absent(names, root):
            if self.missing != "skip":
                end = what_to_do(gone, root, self.partition, "--data.missing skip")
                raise UserError(f"These source tasks of --data.{option} are not in {root}: {', '.join(gone)}. {end}")
            if len(gone) == len(names):
                raise UserError(f"None of the source tasks of --data.{option} is in {root}: {', '.join(gone)}.")
            rank_zero_info(f"left out {len(gone)} of {len(names)} source tasks, not in {root}: {', '.join(gone)}")
            names = [name for name in names if name not in gone]
        if gone := absent(self.validation, root):
            raise UserError(f"These tasks of --data.validation are not in {root}: {', '.join(gone)}.")
        if learned := [name for name in self.validation if name in names]:
            raise UserError(f"--data.validation names source tasks, which are not held out: {', '.join(learned)}.")
        if self.target in names:
            raise UserError(
                f"--data.target {self.target} is among the source tasks of --data.{option}; leave it out of them."
            )
        if self.target and self.target in self.validation:
            raise UserError(
                f"--data.target {self.target} is named by --data.validation too; what is learned on is not held out."
            )
        refuse_namesakes([*names, *self.validation, *([self.target] if self.target else [])])
        return names

    @property
    def may_change(self) -> bool:
        """Whether the same options may name other tasks another time."""
        return self.missing == "skip" or self.retrieved is not None


def refuse_namesakes(tasks: Sequence[str]) -> None:
    """Complain of two tasks of one name, by which prompts, results and libraries know them."""
    seen: dict[str, str] = {}
    for task in tasks:
        if (other := seen.setdefault(called(task), task)) != task:
            raise UserError(f"The tasks {other} and {task} are both called {called(task)}; rename the file of one.")


def check_splits(**splits: Sequence[str]) -> None:
    """Complain, by its name, of an option that names other parts of a draw than there are."""
    for option, parts in splits.items():
        if not parts or set(parts) - {"train", "dev", "test"}:
            raise UserError(f"--data.{option} must name train, dev or test, not {list(parts)}.")


def source_labels(root: str, pools: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    """The label words of all tasks, from the examples of each; a task without label words adds none."""
    labels: list[str] = []
    for name, examples in pools.items():
        if root == SYNTHETIC or is_yaml(name):
            labels += find_task(root, name).labels
        elif has_labels(name):
            labels += labels_of(examples)
    return tuple(dict.fromkeys(labels))


def source_outputs(root: str, pools: Mapping[str, Sequence[Example]], drawn: bool) -> list[Outputs]:
    """The outputs of tasks that are learned on together and not scored; none of unlabelled text."""
    return [
        Outputs(called(name), {"train": pool}, labels=source_labels(root, {name: pool}), drawn=drawn)
        for name, pool in pools.items()
        if not is_text(pool)
    ]
