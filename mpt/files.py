"""Writing so that a reader, or a kill, never meets half a file."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A fresh folder to write into; it becomes ``folder`` if the block ends well, and vanishes otherwise."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if folder.exists():
        # A directory cannot be replaced in one system call; two renames leave no moment with a mixed one.
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
        os.rename(fresh, folder)
        shutil.rmtree(old)
    else:
        os.rename(fresh, folder)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8", newline="")
    os.replace(fresh, path)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file or nothing."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
