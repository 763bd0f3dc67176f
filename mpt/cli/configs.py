"""``mpt configs list | show | copy | schema``."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

from mpt.cli.options import Parser
from mpt.fit.configs import find_config, shipped_configs
from mpt.util.errors import UserError
from mpt.util.files import write_text, writing_to
from mpt.util.places import expanded
from mpt.util.reading import read_text
from mpt.util.yaml_file import first_comment

_SCHEMAS = {
    "study": "mpt.study.spec.study.StudyFile",
    "sweep": "mpt.sweep.file.SweepFile",
    "task": "mpt.data.catalogue.task_file.TaskFile",
    "own_task": "mpt.data.tables.own_file.OwnTaskFile",
    "partition": "mpt.data.tasks.partitions.Partition",
    "mixture": "mpt.data.tasks.mixtures.Mixture",
    "recipe": "mpt.library.recipe.LibraryFile",
}
"""What a file of each kind may hold."""

_EDITORS = (
    "With `mpt configs schema --out schemas`, and `# yaml-language-server: $schema=schemas/study.json` in the first "
    "line of a study, an editor with the YAML language server completes its keys and marks mistakes."
)


def run_configs_command(arguments: list[str]) -> None:
    """``mpt configs list | show NAME | copy NAME [TO] | schema [KIND] [--out DIR]``."""
    parser = Parser(prog="mpt configs", description="The experiment files that come with the package.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="names, one a line, with what each is for")
    show = actions.add_parser("show", help="print one")
    show.add_argument("name")
    copy = actions.add_parser("copy", help="copy one to edit it")
    copy.add_argument("name")
    copy.add_argument("to", nargs="?", default=".", help="folder or file (default: here)")
    schema = actions.add_parser("schema", help="JSON Schemas, by which editors complete files", epilog=_EDITORS)
    schema.add_argument("kind", nargs="?", choices=_SCHEMAS, help="of file (default: all, with --out)")
    schema.add_argument("--out", type=expanded, metavar="DIR", help="write KIND.json into it, in place of printing")
    options = parser.parse_args(arguments)
    if options.action == "list":
        width = max(map(len, shipped_configs()))
        for name, path in shipped_configs().items():
            about = first_comment(path.read_text(encoding="utf-8"))
            print(f"{name:<{width}}  {about}".rstrip())
    elif options.action == "show":
        from mpt.present.terminal import SHOWN

        text = read_text(find_config(options.name), "config").replace("\r\n", "\n")
        print(text.translate(SHOWN), end="")  # it may be a stranger's
    elif options.action == "schema":
        _write_schemas(options.kind, options.out)
    else:
        _copy(find_config(options.name), expanded(options.to))


def _copy(source: Path, to: Path) -> None:
    target = to / source.name if to.is_dir() else to
    if target.exists():
        raise UserError(f"{target} exists; name another file to copy to")
    with writing_to(target.parent, "the last word"):
        shutil.copyfile(source, target)
    print(target)


def _write_schemas(kind: str | None, out: Path | None) -> None:
    if kind is None and out is None:
        raise UserError(f"name a kind of file ({', '.join(_SCHEMAS)}), or a folder for all of them by --out")
    for name in [kind] if kind else _SCHEMAS:
        text = json.dumps(_schema(name), indent=2) + "\n"
        if out is None:
            print(text, end="")
        else:
            with writing_to(out):
                write_text(out / f"{name}.json", text)
            print(out / f"{name}.json")


def _schema(kind: str) -> dict[str, Any]:
    from mpt.util.schema import adapter

    module, _, name = _SCHEMAS[kind].rpartition(".")
    return adapter(getattr(importlib.import_module(module), name)).json_schema()
