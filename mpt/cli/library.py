"""``mpt library add | list | show | search | export | combine | recycle | push | pull | rebuild | learn``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from mpt.cli.options import Parser, at_least, run_action, seed
from mpt.util.errors import UserError
from mpt.util.names import printable
from mpt.util.places import expanded

if TYPE_CHECKING:
    from mpt.backbone.model import FrozenBackbone
    from mpt.library.entry import Entry
    from mpt.library.library import Library

log = logging.getLogger(__name__)

_USAGE = """usage: mpt library ACTION …

Prompts of many tasks, each found by its task embedding (the key) and taken to start another task from (the value).
WHERE is a folder, the name of a library that ships with the package, or hub:owner/name.

  learn --tasks T… --out FOLDER  prompts of many tasks, learned side by side; what is there already is left
  add FOLDER RUN…                what runs of prompt tuning learned, if they kept an early prompt (KeepEarly), and
                                 what mpt adapt found
  list WHERE                     its entries, a line each
  show WHERE [NAME]              how its keys were made; all that is known about one entry
  search WHERE KEY [-k N]        the entries most similar to a key: a prompt folder, an entry's or a run's
  export WHERE NAME FOLDER       one prompt as a plain PEFT folder
  combine WHERE FOLDER A + B - C what tasks added to their start, added to another and taken away: a prompt's folder
  recycle WHERE FOLDER --to MODEL its prompts for another model of the same tokens
  push WHERE owner/name          to a repository on the Hugging Face hub
  pull owner/name FOLDER         and from there
  rebuild FOLDER                 its index made anew from the folders

`mpt library ACTION --help` tells more.
"""


def run_library_command(arguments: list[str]) -> None:
    """One action on a library of prompts."""
    run_action("library", _USAGE, _ACTIONS, arguments)


def _parser(action: str, what: str) -> Parser:
    return Parser(prog=f"mpt library {action}", description=what)


def _add(rest: list[str]) -> None:
    from mpt.library.recipe import FILE

    parser = _parser("add", "Add what runs of prompt tuning learned: their early prompt as key, their best as value.")
    parser.add_argument(
        "folder", type=expanded, help="the library's; made, with the first run's recipe, if it is not there"
    )
    parser.add_argument(
        "runs", nargs="+", type=expanded, metavar="RUN", help="folder of a run, or the one that mpt adapt wrote"
    )
    parser.add_argument("--name", help="of the entry, where one run is added (default: <task>-<seed of the draw>)")
    parser.add_argument(
        "--key-steps", type=at_least(1), metavar="N", help="of a new library: the early step that makes a key"
    )
    options = parser.parse_args(rest)
    if options.name is not None and len(options.runs) > 1:
        raise UserError(f"--name {options.name} is for one run, not {len(options.runs)}")
    from mpt.library.from_run import read_run
    from mpt.library.library import Library

    if (options.folder / FILE).is_file():
        library = Library.open(options.folder)
        if options.key_steps not in (None, library.recipe.key_steps):
            raise UserError(
                f"--key-steps {options.key_steps}: the keys of {options.folder} are of step {library.recipe.key_steps}"
            )
    else:
        library = Library.create(options.folder, read_run(options.runs[0], options.key_steps).recipe)
    for run in options.runs:
        entry = library.add_run(run, options.name)
        print(f"{entry.name}{_score(entry)} from {run}")


def _list(rest: list[str]) -> None:
    from mpt.present.columns import columns

    parser = _parser("list", "The entries of a library.")
    parser.add_argument("where", help="a library")
    parser.add_argument("--backbone", metavar="NAME", help="only those of this backbone (name or fingerprint)")
    parser.add_argument("--names", action="store_true", help="bare names, one a line")
    options = parser.parse_args(rest)
    entries = _of_backbone(_open(options.where).entries(), options.backbone)
    if options.names:
        print("".join(f"{entry.name}\n" for entry in entries), end="")
        return
    head = ["name", "task", "seed", "dev", "backbone", "weights"]
    rows = [[e.name, e.task, _or_dash(e.seed), _or_dash(e.dev_score), e.backbone, e.fingerprint] for e in entries]
    print(columns(head, rows, ["seed", "dev"]), end="")


def _show(rest: list[str]) -> None:
    parser = _parser("show", "How the keys of a library were made, or all that is known about one entry.")
    parser.add_argument("where", help="a library")
    parser.add_argument("name", nargs="?", help="of an entry")
    options = parser.parse_args(rest)
    library = _open(options.where)
    facts: dict[str, object]
    if options.name is None:
        entries = library.entries()
        facts = {"folder": library.folder, **asdict(library.recipe), "entries": len(entries)}
        facts["tasks"] = len({entry.task for entry in entries})
        facts["backbones"] = ", ".join(sorted({f"{e.backbone} ({e.fingerprint})" for e in entries})) or "-"
        facts["refused"] = len(library.refused)
    else:
        entry = library.entry(options.name)
        facts = {"folder": entry.folder, **entry.facts}
    width = max(map(len, facts))
    for name, value in facts.items():
        print(printable(f"{name:<{width}}  {value}"))


def _search(rest: list[str]) -> None:
    from mpt.library.entry import KEY
    from mpt.library.pooling import MEASURES
    from mpt.present.columns import columns
    from mpt.prompt.files import load_prompt
    from mpt.record.folder import EARLY

    parser = _parser("search", "The entries whose keys are most similar to a key, the most similar first.")
    parser.add_argument("where", help="a library")
    parser.add_argument("key", type=expanded, help="prompt folder of the key, or folder of an entry or run that has it")
    parser.add_argument("-k", type=at_least(1), default=5, metavar="N", help="how many (default: 5)")
    told = "default: centred, as mpt adapt; studies go by per_token, SPoT's choice"
    parser.add_argument("--by", default="centred", help=f"{', '.join(MEASURES)} ({told})")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="TASK", help="tasks whose entries are left out")
    options = parser.parse_args(rest)
    library = _open(options.where)
    library.check_excluded(options.exclude)
    steps = library.recipe.key_steps
    places = (options.key / EARLY / f"step-{steps}", options.key / KEY)
    folder = next((place for place in places if place.is_dir()), options.key)
    stored = load_prompt(folder)
    if stored.facts.get("step", steps) != steps:
        log.warning(
            "%s is a prompt of step %r, but the keys of the library are of step %d: how similar they are says little",
            folder,
            stored.facts["step"],
            steps,
        )
    fingerprint = stored.facts.get("fingerprint")
    if not isinstance(fingerprint, str):
        raise UserError(f"key {folder} does not say in mpt.json which weights it was learned on, so nothing is like it")
    hits = library.search(stored.weight, options.k, options.by, fingerprint=fingerprint, exclude_tasks=options.exclude)
    if not hits:
        raise UserError(f"library {options.where} has no entry for {stored.backbone} (weights {fingerprint})")
    rows = [[f"{h.similarity:.4f}", h.entry.name, h.entry.task, _or_dash(h.entry.dev_score)] for h in hits]
    print(columns(["similarity", "name", "task", "dev"], rows, ["similarity", "dev"]), end="")


def _export(rest: list[str]) -> None:
    parser = _parser("export", "Write one prompt as a folder that PEFT loads.")
    parser.add_argument("where", help="a library")
    parser.add_argument("name", help="of the entry")
    parser.add_argument("folder", type=expanded, help="a new folder")
    options = parser.parse_args(rest)
    print(_open(options.where).export(options.name, options.folder))


def _combine(rest: list[str]) -> None:
    parser = _parser(
        "combine",
        "Task vectors: each entry's prompt minus the start of its tuning, added to a new start or taken away from it.",
    )
    parser.add_argument("where", help="a library")
    parser.add_argument("folder", type=expanded, help="a new folder for the prompt")
    parser.add_argument("terms", nargs="+", metavar="ENTRY", help="names of entries, with + or - between them")
    parser.add_argument("--seed", type=seed, metavar="N", help="of the new start (default: the library's own start)")
    parser.add_argument("--backbone", help="where the library's model is now")
    options = parser.parse_args(rest)
    terms = _terms(options.terms)
    library = _open(options.where)
    from mpt.library.task_vectors import combine

    backbone = _backbone(options.backbone or library.recipe.backbone, library.recipe.chat_template)
    own = library.recipe.seed if options.seed is None else options.seed
    print(combine(library, terms, backbone, own, options.folder))


def _terms(words: list[str]) -> list[tuple[int, str]]:
    signs = {"+": 1, "-": -1}
    if words[0] not in signs:
        words = ["+", *words]
    if len(words) % 2 or any((word in signs) == bool(place % 2) for place, word in enumerate(words)):
        raise UserError(f"{' '.join(words)}: names of entries with + or - between them were expected, as in A + B - C")
    return [(signs[sign], name) for sign, name in zip(words[::2], words[1::2], strict=True)]


def _recycle(rest: list[str]) -> None:
    parser = _parser(
        "recycle",
        "A new library for another model: prompts mapped by what maps the token embeddings of one to the other's. "
        "They are starts, not ready prompts; whether they help is known when they were tried.",
    )
    parser.add_argument("where", help="a library")
    parser.add_argument("folder", type=expanded, help="a new folder for the library")
    parser.add_argument("--to", required=True, metavar="MODEL", help="the other model: hub name or local folder")
    parser.add_argument("--backbone", help="where the library's model is now")
    options = parser.parse_args(rest)
    library = _open(options.where)
    from mpt.library.recycle import recycle

    source = _backbone(options.backbone or library.recipe.backbone, library.recipe.chat_template)
    target = _backbone(options.to, chats=False)  # which it may not have
    made = recycle(library, source, target, options.to, options.folder)
    lost = library.recipe.chat_template and not made.recipe.chat_template
    without = f", which has no chat as {library.recipe.backbone} has" if lost else ""
    print(f"{options.folder}: {len(made.entries())} prompts for {options.to}{without}")


def _backbone(name: str, chats: bool) -> FrozenBackbone:
    from mpt.backbone.loading import BackboneOptions
    from mpt.backbone.model import FrozenBackbone
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    return FrozenBackbone(name, BackboneOptions(chat_template=chats))


def _push(rest: list[str]) -> None:
    parser = _parser("push", "Add the entries of a library to a repository on the Hugging Face hub.")
    parser.add_argument("where", help="a library")
    parser.add_argument("repository", help="owner/name; made if it is not there")
    parser.add_argument("--private", action="store_true", help="if it is made, so that only its owner sees it")
    options = parser.parse_args(rest)
    from mpt.library.share import push

    done = push(_open(options.where), options.repository, options.private)
    print(f"{len(done.moved)} entries pushed to {options.repository}, {len(done.there)} were there")


def _pull(rest: list[str]) -> None:
    parser = _parser("pull", "Copy the entries of a library on the Hugging Face hub into a folder.")
    parser.add_argument("repository", help="owner/name, or owner/name@revision")
    parser.add_argument("folder", type=expanded, help="of a library of the same recipe; made if it is not there")
    options = parser.parse_args(rest)
    from mpt.library.share import pull

    done = pull(options.repository, options.folder)
    print(f"{len(done.moved)} entries pulled to {options.folder}, {len(done.there)} were there")


def _rebuild(rest: list[str]) -> None:
    parser = _parser("rebuild", "Make the index of a library anew from its folders.")
    parser.add_argument("folder", help="of a library")
    library = _open(parser.parse_args(rest).folder)
    library.rebuild()
    print(f"{len(library.entries())} entries, {len(library.refused)} refused")


def _learn(rest: list[str]) -> None:
    from mpt.cli.library_learn import add_learn_options, run_learn

    parser = _parser("learn", "Learn the prompts of many tasks side by side and put them into a library.")
    add_learn_options(parser)
    if not run_learn(parser.parse_args(rest)):
        sys.exit(1)


_ACTIONS: dict[str, Callable[[list[str]], None]] = {
    "add": _add,
    "list": _list,
    "show": _show,
    "search": _search,
    "export": _export,
    "combine": _combine,
    "recycle": _recycle,
    "push": _push,
    "pull": _pull,
    "rebuild": _rebuild,
    "learn": _learn,
}


def _open(where: str) -> Library:
    from mpt.library.library import Library

    return Library.open(where)


def _of_backbone(entries: list[Entry], name: str | None) -> list[Entry]:
    chosen = [entry for entry in entries if name in (None, entry.backbone, entry.fingerprint)]
    if entries and not chosen:
        known = sorted({entry.backbone for entry in entries})
        raise UserError(f"the library has no entry of the backbone {name}; it has those of {', '.join(known)}")
    return chosen


def _score(entry: Entry) -> str:
    return "" if entry.dev_score is None else f" (dev {entry.dev_score:.4f})"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
