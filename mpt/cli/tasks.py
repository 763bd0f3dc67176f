"""``mpt tasks``: what tasks there are, and all that is known about one."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from mpt.cli.options import Parser
from mpt.cli.task_page import sampling, task_page
from mpt.data.fewshot.files import SYNTHETIC, TaskDraws, task_names
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import SUITES, catalogue
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Task
from mpt.present.columns import columns
from mpt.util.errors import UserError
from mpt.util.names import nearest

SPLITS = ("train", "dev", "test")


def run_tasks_command(arguments: list[str]) -> None:
    """``mpt tasks [--suite S] [--type T] [--category C] [--partition P] [--root DIR] [--names]`` or ``show NAME``."""
    parser = Parser(
        prog="mpt tasks",
        usage="mpt tasks [--suite NAME] [--type TYPE] [--category NAME] [--partition NAME] [--root DIR] [--names]\n"
        "       mpt tasks show NAME",
        description="The tasks of CrossFit and SPoT, or of the synthetic suite (--root synthetic).",
    )
    parser.add_argument(
        "--suite",
        choices=SUITES,
        help="only CrossFit's 160 tasks, SPoT's that are not among them, MRQA's for tests, or xGen's summaries",
    )
    parser.add_argument("--type", help="only this type: classification, qa, generation, other")
    parser.add_argument("--category", help="only this category, for example paraphrase")
    parser.add_argument("--partition", help="only those of a partition (name or file), with the list each is in")
    parser.add_argument("--root", help=f"a data folder: say which draws it has; or the word {SYNTHETIC}")
    parser.add_argument("--names", action="store_true", help="bare names, one a line")
    actions = parser.add_subparsers(dest="action", metavar="show NAME", prog="mpt tasks")
    show = actions.add_parser("show", help="all that is known about one task")
    show.add_argument("name")
    options = parser.parse_args(arguments)
    if options.action == "show":
        print(task_page(find(options.name)), end="")
    else:
        print(_listed(options), end="")


def find(name: str) -> Task:
    """A task of the catalogue or of the synthetic suite."""
    known = {**synthetic_tasks(), **dict.fromkeys(catalogue())}
    if name not in known:
        raise UserError(f"There is no task {name!r}; {nearest(name, known)}")
    return known[name] or catalogue()[name]


def _listed(options: argparse.Namespace) -> str:
    roles = _roles(options.partition)
    known: Mapping[str, Task] = synthetic_tasks() if options.root == SYNTHETIC else catalogue()
    if roles and not any(name in known for name in roles):
        known = synthetic_tasks()
    names = list(roles) or list(known)
    if options.suite is not None:
        names = [name for name in names if name in catalogue(options.suite)]
    if options.root is not None and not roles and options.suite is None:
        names += [name for name in task_names(options.root) if name not in known and name[0] != "."]
    for option in ("type", "category"):
        names = _only(names, known, option, getattr(options, option))
    if options.names:
        return "".join(f"{name}\n" for name in names)
    head = ["task", *(["in"] if roles else []), "type", "category", "metric", "sampling", "suite"]
    there = _there(options.root, names)
    head += ["draws"] if there is not None else ["source"]
    rows = []
    for name in names:
        task = known.get(name)
        facts = ["?"] * 5
        if task:
            facts = [task.type, task.category or "-", task.metric, sampling(task), task.suite or "-"]
        row = [name, *([roles[name]] if roles else []), *facts]
        rows.append([*row, there[name] if there is not None else _source(task)])
    return columns(head, rows)


def _only(names: list[str], known: Mapping[str, Task], option: str, value: str | None) -> list[str]:
    """The tasks whose type or category it is."""
    if value is None:
        return names
    kinds = {getattr(task, option) for task in known.values()} - {""}
    if value not in kinds:
        raise UserError(f"There is no {option} {value!r}; {nearest(value, kinds)}")
    return [name for name in names if name in known and getattr(known[name], option) == value]


def _roles(given: str | None) -> dict[str, str]:
    """Task to the list of the partition it is in."""
    parts = load_partition(given).parts if given is not None else {}
    return {task: part for part, tasks in parts.items() for task in tasks}


def _there(root: str | None, names: Iterable[str]) -> dict[str, str] | None:
    """What a data folder has of each task; none where no folder was given."""
    if root is None or root == SYNTHETIC:
        return None
    present = set(task_names(root))
    return {name: draws(root, name) if name in present else "missing" for name in names}


def draws(root: str | Path, name: str) -> str:
    """The draws of a task in words, ``k=16 seeds 13 21 42``; what is wrong with the folder if it holds none."""
    try:
        files = TaskDraws.of(root, name).files
    except UserError:
        return "no few-shot file"
    told = []
    for k in sorted({size for size, _, _ in files}, key=lambda size: (size == "all", size)):
        train, dev, test = ({s for size, s, part in files if (size, part) == (k, split)} for split in SPLITS)
        # A draw is train and dev; a test file serves all seeds.
        seeds = " ".join(map(str, sorted(train & dev))) or "none"
        told.append(f"k={k} seeds {seeds}" + ("" if test else ", no test file"))
    return "; ".join(told)


def _source(task: Task | None) -> str:
    if task is None:
        return "not in the catalogue"
    if task.recipe is None:
        return "made by the package" if task.name in synthetic_tasks() else "-"
    source = task.recipe.source
    return source.elsewhere or f"{source.hub} ({source.config})"
