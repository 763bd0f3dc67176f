"""Where a prompt lies, and what it is called beside others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpt.prompt.files import is_prompt
from mpt.record.folder import PROMPT
from mpt.util.errors import UserError
from mpt.util.places import expanded


def prompt_folder(named: Path | str) -> Path:
    """The folder of a prompt.

    Args:
        named: itself, the folder of the run that learned it, ``LIBRARY:ENTRY``, such as
            ``synthetic:syn-age-post-13``, or ``hub:owner/name``, which is downloaded.

    Raises:
        UserError: there is no such library, or no such entry in it.
    """
    if not str(named):  # Path("") is the current folder
        raise UserError("a prompt's name is empty; give its folder, or LIBRARY:ENTRY")
    folder = expanded(named)
    where, _, name = str(named).rpartition(":")
    if where == "hub" and not folder.exists():
        from mpt.library.entry import FILES
        from mpt.library.hub import fetch

        return fetch(name, FILES, "prompt")
    if where and not folder.exists():
        from mpt.library.library import Library

        library = Library.open(where)
        found = next((entry.folder for entry in library.entries() if entry.name == name), None)
        if found is None:
            raise UserError(f"the library {where} has no entry {name}; mpt library list {where} shows them")
        return found
    return folder / PROMPT if not is_prompt(folder) and is_prompt(folder / PROMPT) else folder


def prompts_in(named: str) -> list[str]:
    """A prompt by its name, or the prompts that a folder holds, in the order of their names and numbers."""
    folder = expanded(named)
    if not named or not folder.is_dir() or is_prompt(prompt_folder(folder)):
        return [named]
    found = [path for path in folder.iterdir() if is_prompt(path)]
    return [str(path) for path in sorted(found, key=lambda path: (len(path.name), path.name))] or [named]


def prompt_names(folders: Sequence[Path | str]) -> list[str]:
    """The last parts of folders, as many as tell them apart.

    Raises:
        UserError: one is named twice.
    """
    parts = [_parts(str(folder)) for folder in folders]
    if twice := next((folder for folder, each in zip(folders, parts, strict=True) if parts.count(each) > 1), None):
        raise UserError(f"prompt {twice} is named twice; name each once")
    names: list[str] = []
    count = 0
    while len(set(names)) < len(parts):
        count += 1
        names = ["/".join(each[-count:]) for each in parts]
    return names


def _parts(folder: str) -> tuple[str, ...]:
    """Of a path; of ``LIBRARY:ENTRY`` the library's, and the entry's name."""
    library, _, name = folder.rpartition(":")
    if library and not expanded(folder).exists():
        return (*expanded(library).absolute().parts, name)
    return expanded(folder).absolute().parts


def numbers_by_name(names: Sequence[str], tasks: Sequence[str | None]) -> dict[str, int]:
    """The numbers of prompts by what a row may call them: their names, and those of tasks that one alone has."""
    found = {task: at for at, task in enumerate(tasks) if task and tasks.count(task) == 1}
    return found | {name: at for at, name in enumerate(names)}
