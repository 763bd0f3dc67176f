"""``mpt mixtures``: what mixtures of source tasks there are, and the tasks of one."""

from __future__ import annotations

from mpt.cli.options import Parser
from mpt.cli.tasks import draws
from mpt.data.fewshot.files import SYNTHETIC, task_names
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.mixtures import Mixture, load_mixture, mixture_names
from mpt.present.columns import columns


def run_mixtures_command(arguments: list[str]) -> None:
    """``mpt mixtures [--names]`` or ``mpt mixtures show NAME [--root DIR] [--names]``."""
    parser = Parser(
        prog="mpt mixtures",
        description="Source tasks under one name, as SPoT mixes them; --data.tasks, a study's sources and mpt data "
        "build take such a name.",
    )
    parser.add_argument("--names", action="store_true", help="bare names, one a line")
    actions = parser.add_subparsers(dest="action", metavar="show NAME")
    show = actions.add_parser("show", help="the tasks of one")
    show.add_argument("name", help="a shipped mixture, or a YAML file with the list tasks")
    show.add_argument("--root", help=f"a data folder (or the word {SYNTHETIC}): say which tasks are not there")
    show.add_argument("--names", action="store_true", help="bare names of the tasks, one a line", dest="task_names")
    options = parser.parse_args(arguments)
    if options.action == "show":
        mixture = load_mixture(options.name)
        names = "".join(f"{task}\n" for task in mixture.tasks)
        print(names if options.task_names else mixture_page(mixture, options.root), end="")
    elif options.names:
        print("".join(f"{name}\n" for name in mixture_names()), end="")
    else:
        rows = [[mixture.name, len(mixture.tasks), mixture.about] for mixture in map(load_mixture, mixture_names())]
        print(columns(["mixture", "tasks", "what it is"], rows, ["tasks"]), end="")


def mixture_page(mixture: Mixture, root: str | None) -> str:
    """The tasks of a mixture, a line each, with what a data folder has of each; what is missing at the end."""
    there = set(task_names(root)) if root is not None else set()
    rows = []
    for name in mixture.tasks:
        task = catalogue().get(name)
        row = [name, *([task.suite, task.type, task.category, task.metric] if task else ["?"] * 4)]
        if root is not None:
            row.append("missing" if name not in there else "made" if root == SYNTHETIC else draws(root, name))
        rows.append(row)
    head = ["task", "suite", "type", "category", "metric", *(["draws"] if root is not None else [])]
    text = f"{mixture.name}: {mixture.about}".removesuffix(": ") + "\n\n" + columns(head, rows)
    gone = [name for name in mixture.tasks if name not in there]
    if root is not None and gone:
        text += f"\nnot in {root}: {len(gone)} of {len(mixture.tasks)} tasks: {', '.join(gone)}\n"
    return text
