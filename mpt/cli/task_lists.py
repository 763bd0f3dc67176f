"""``mpt partitions`` and ``mpt mixtures``: which lists of tasks there are, and the tasks of one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

from mpt.cli.options import Parser
from mpt.cli.tasks import draws
from mpt.data.fewshot.files import SYNTHETIC, task_names
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.mixtures import load_mixture, mixture_names
from mpt.data.tasks.partitions import PARTS, Partition, load_partition, partition_names
from mpt.present.columns import columns


def run_partitions_command(arguments: list[str]) -> None:
    """``mpt partitions [--names]`` or ``mpt partitions show NAME [--root DIR] [--names]``."""
    about = "Which tasks a prompt is learned on, and on which others it is measured."
    options = _options("partition", about, "the lists source and target", arguments)
    if options.action == "show":
        partition = load_partition(options.name)
        counts = ", ".join(f"{len(tasks)} {part}" for part, tasks in partition.parts.items() if tasks)
        stated = f"; stated: {_stated(partition)}" if partition.stated else ""
        head = f"{partition.name}: {partition.about}".removesuffix(": ") + f"\n{counts}{stated}"
        known = {**catalogue(), **synthetic_tasks()}
        facts = {name: [task.type, task.metric] for name, task in known.items()}
        _show(options, head, partition.parts, ["type", "metric"], facts)
    else:
        found = map(load_partition, partition_names())
        rows = [[one.name, *map(len, one.parts.values()), _stated(one) or "-", one.about] for one in found]
        _list(options, ["partition", *PARTS, "stated", "what it is"], rows, PARTS)


def run_mixtures_command(arguments: list[str]) -> None:
    """``mpt mixtures [--names]`` or ``mpt mixtures show NAME [--root DIR] [--names]``."""
    about = "Source tasks under one name, as SPoT mixes them; --data.tasks, a study's sources and mpt data build take "
    options = _options("mixture", f"{about}such a name.", "the list tasks", arguments)
    if options.action == "show":
        mixture = load_mixture(options.name)
        head = f"{mixture.name}: {mixture.about}".removesuffix(": ")
        facts = {name: [task.suite, task.type, task.category, task.metric] for name, task in catalogue().items()}
        _show(options, head, {"": mixture.tasks}, ["suite", "type", "category", "metric"], facts)
    else:
        rows = [[one.name, len(one.tasks), one.about] for one in map(load_mixture, mixture_names())]
        _list(options, ["mixture", "tasks", "what it is"], rows, ["tasks"])


def _options(kind: str, about: str, holds: str, arguments: list[str]) -> argparse.Namespace:
    usage = f"mpt {kind}s [--names]\n       mpt {kind}s show NAME"
    parser = Parser(prog=f"mpt {kind}s", usage=usage, description=about)
    parser.add_argument("--names", action="store_true", help="bare names, one a line")
    actions = parser.add_subparsers(dest="action", metavar="show NAME", prog=f"mpt {kind}s")
    show = actions.add_parser("show", help="the tasks of one")
    show.add_argument("name", help=f"a shipped {kind}, or a YAML file with {holds}")
    show.add_argument("--root", help=f"a data folder (or the word {SYNTHETIC}): say which tasks are not there")
    show.add_argument("--names", action="store_true", help="bare names of the tasks, one a line", dest="task_names")
    return parser.parse_args(arguments)


def _list(options: argparse.Namespace, head: list[str], rows: list[list[object]], numbers: Sequence[str]) -> None:
    print("".join(f"{row[0]}\n" for row in rows) if options.names else columns(head, rows, numbers), end="")


def _show(
    options: argparse.Namespace,
    title: str,
    parts: Mapping[str, Sequence[str]],
    head: list[str],
    facts: Mapping[str, list[str]],
) -> None:
    """Print the tasks, a line each, with what a data folder has of each; what is missing at the end.

    Args:
        parts: the tasks of each list; one without a name if there are no several.
        head: the columns of the facts.
        facts: of the tasks that are known.
    """
    if options.task_names:
        print("".join(f"{task}\n" for tasks in parts.values() for task in tasks), end="")
        return
    root = options.root
    there = set(task_names(root)) if root is not None else set()
    rows = []
    for part, tasks in parts.items():
        for name in tasks:
            row = [*([part] if part else []), name, *facts.get(name, ["?"] * len(head))]
            if root is not None:
                row.append("missing" if name not in there else "made" if root == SYNTHETIC else draws(root, name))
            rows.append(row)
    head = [*(["in"] if "" not in parts else []), "task", *head, *(["draws"] if root is not None else [])]
    print(f"{title}\n\n{columns(head, rows)}{''.join(_missing(root, parts, there))}", end="")


def _missing(root: str | None, parts: Mapping[str, Sequence[str]], there: set[str]) -> Iterator[str]:
    for part, tasks in parts.items():
        gone = [name for name in tasks if name not in there]
        if root is not None and gone:
            what = f"{part} tasks".lstrip()
            yield f"\nnot in {root}: {len(gone)} of {len(tasks)} {what}: {', '.join(gone)}\n"


def _stated(partition: Partition) -> str:
    """The stated counts where there are any, ``57, 8``, with a mark where the lists have others."""
    if not partition.stated:
        return ""
    differs = any(len(partition.parts[part]) != count for part, count in partition.stated.items())
    told = ", ".join(str(partition.stated.get(part, "-")) for part in ("source", "target"))
    return told + (" (the lists differ)" if differs else "")
