"""``mpt configs list | show | copy``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from mpt.fit.configs import find_config, shipped_configs
from mpt.util.errors import UserError


def run_configs_command(arguments: list[str]) -> None:
    """``mpt configs list | show NAME | copy NAME [TO]``."""
    parser = argparse.ArgumentParser(prog="mpt configs", description="The experiment files that come with the package.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="names, one a line, with what each is for")
    show = actions.add_parser("show", help="print one")
    show.add_argument("name")
    copy = actions.add_parser("copy", help="copy one to edit it")
    copy.add_argument("name")
    copy.add_argument("to", nargs="?", default=".", help="folder or file (default: here)")
    options = parser.parse_args(arguments)
    if options.action == "list":
        width = max(map(len, shipped_configs()))
        for name, path in shipped_configs().items():
            print(f"{name:<{width}}  {_first_comment(path)}".rstrip())
    elif options.action == "show":
        print(find_config(options.name).read_text(encoding="utf-8"), end="")
    else:
        _copy(find_config(options.name), Path(options.to))


def _copy(source: Path, to: Path) -> None:
    target = to / source.name if to.is_dir() else to
    if target.exists():
        raise UserError(f"{target} exists; name another file to copy to")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    print(target)


def _first_comment(path: Path) -> str:
    line = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return line.removeprefix("#").strip() if line.startswith("#") else ""
