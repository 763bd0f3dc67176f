"""``mpt partitions``: what partitions there are, and the tasks of one."""

from __future__ import annotations

from mpt.cli.options import Parser
from mpt.cli.tasks import draws
from mpt.data.fewshot.files import SYNTHETIC, task_names
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.partitions import PARTS, Partition, load_partition, partition_names
from mpt.present.columns import columns


def run_partitions_command(arguments: list[str]) -> None:
    """``mpt partitions [--names]`` or ``mpt partitions show NAME [--root DIR] [--names]``."""
    parser = Parser(
        prog="mpt partitions", description="Which tasks a prompt is learned on, and on which others it is measured."
    )
    parser.add_argument("--names", action="store_true", help="bare names, one a line")
    actions = parser.add_subparsers(dest="action", metavar="show NAME")
    show = actions.add_parser("show", help="the tasks of one")
    show.add_argument("name", help="a shipped partition, or a YAML file with the lists source and target")
    show.add_argument("--root", help=f"a data folder (or the word {SYNTHETIC}): say which tasks are not there")
    show.add_argument("--names", action="store_true", help="bare names of the tasks, one a line", dest="task_names")
    options = parser.parse_args(arguments)
    if options.action == "show":
        partition = load_partition(options.name)
        text = _names(partition) if options.task_names else partition_page(partition, options.root)
        print(text, end="")
    elif options.names:
        print("".join(f"{name}\n" for name in partition_names()), end="")
    else:
        print(_listed(), end="")


def _listed() -> str:
    rows = []
    for partition in map(load_partition, partition_names()):
        rows.append([partition.name, *counts(partition), stated(partition) or "-", partition.about])
    return columns(["partition", *PARTS, "stated", "what it is"], rows, PARTS)


def counts(partition: Partition) -> list[int]:
    """Of source, target and validation tasks."""
    return [len(getattr(partition, part)) for part in PARTS]


def stated(partition: Partition) -> str:
    """The stated counts where there are any, ``57, 8``, with a mark where the lists have others."""
    if not partition.stated:
        return ""
    told = ", ".join(str(partition.stated.get(part, "-")) for part in ("source", "target"))
    return told + (" (the lists differ)" if _differ(partition) else "")


def _differ(partition: Partition) -> bool:
    return any(len(getattr(partition, part)) != count for part, count in partition.stated.items())


def _names(partition: Partition) -> str:
    return "".join(f"{task}\n" for part in PARTS for task in getattr(partition, part))


def partition_page(partition: Partition, root: str | None) -> str:
    """The tasks of a partition, a line each, with what a data folder has of each; what is missing at the end."""
    known = {**synthetic_tasks(), **{name: None for name in catalogue()}}
    there = set(task_names(root)) if root is not None else set()
    rows = []
    for part in PARTS:
        for name in getattr(partition, part):
            task = (known[name] or catalogue()[name]) if name in known else None
            row = [part, name, task.type if task else "?", task.metric if task else "?"]
            if root is not None:
                row.append("missing" if name not in there else "made" if root == SYNTHETIC else draws(root, name))
            rows.append(row)
    head = ["in", "task", "type", "metric", *(["draws"] if root is not None else [])]
    lines = [f"{partition.name}: {partition.about}".removesuffix(": ")]
    lines.append(", ".join(f"{count} {part}" for count, part in zip(counts(partition), PARTS, strict=True) if count))
    if partition.stated:
        lines[-1] += f"; stated: {stated(partition)}"
    text = "\n".join(lines) + "\n\n" + columns(head, rows)
    if root is None:
        return text
    for part in PARTS:
        tasks = getattr(partition, part)
        if gone := [name for name in tasks if name not in there]:
            text += f"\nnot in {root}: {len(gone)} of {len(tasks)} {part} tasks: {', '.join(gone)}\n"
    return text
