"""Where and with what a run was done: what its result file says beside the numbers."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mpt
from mpt.util.distribution import DISTRIBUTION


def environment(device: str, precision: str) -> dict[str, Any]:
    """Versions, commit, device, precision and host of this process's runs.

    Args:
        device: as torch names it.
        precision: of its arithmetic, as Lightning names it; not always what was asked for.
    """
    facts = {"versions": dict(versions()), "commit": commit()}
    return {**facts, "device": device, "precision": precision, "host": platform.node()}


@cache
def versions() -> dict[str, str]:
    """Versions of what decides a number, of Python's too."""
    known = {"python": platform.python_version()}
    for name in (DISTRIBUTION, "torch", "pytorch-lightning", "transformers", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            known["mpt" if name == DISTRIBUTION else name] = version(name)
    return known


@cache
def commit(folder: Path = Path(mpt.__file__).parent) -> str | None:
    """The commit of the code, with ``+`` behind it if files were changed since; none if it is not under git's eyes.

    A package in a virtual environment inside some repository is not.
    """

    def git(*words: str) -> str:
        # No lock is taken: several workers may ask at once.
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
