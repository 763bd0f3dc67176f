"""Whether an entry's folder is the one that was read, by what the system says of its files, which are not opened."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mpt.library.entry import FILES, KEY

_LOOKED_AT = ["", *(f"/{name}" for name in FILES), f"/{KEY}", *(f"/{KEY}/{name}" for name in FILES)]
"""What of an entry is looked at; strings, as a hundred thousand Paths take seconds."""


def marks(prompts: Path) -> dict[str, str]:
    """By name of each folder in a folder, what is another when it is another folder.

    It is made of the inode and the time of the folder's last change, so that no file has to be looked at. The inode
    alone does not do: one that a removed folder had is given to the next.
    """
    found = {}
    try:
        with os.scandir(prompts) as listing:
            for item in listing:
                if item.name.startswith("."):
                    continue
                try:
                    facts = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed since it was listed
                found[item.name] = f"{facts.st_ino} {facts.st_ctime_ns}"
    except FileNotFoundError:
        pass
    return found


def stamp_of(folder: Path) -> str:
    """What is another when a file of an entry is another, or is changed."""
    seen = []
    place = str(folder)
    for name in _LOOKED_AT:
        try:
            facts = os.stat(place + name)
            seen.append((facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino))
        except OSError:
            seen.append((0, 0, 0, 0))
    return hashlib.blake2b(repr(seen).encode(), digest_size=8).hexdigest()


def time_of(folder: Path) -> int:
    """When its names last changed; unlike the time of modification nobody can set it."""
    try:
        return os.stat(folder).st_ctime_ns
    except OSError:
        return 0
