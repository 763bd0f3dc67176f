"""``mpt`` in processes forked from one that has the libraries loaded: a start takes milliseconds, so that tests can
afford many. All else is as a user has it: a process of its own, its workers, and signals to them. Workers are forked
too, unless a test asks for those that a user has.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["mpt.fit.command", "mpt.cli.study", "support.preload"])
ALWAYS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def start(told: Path, *arguments: object, spawn: bool = False, **changes: str) -> BaseProcess:
    """A process at work on a study, which prints into a file; with ``spawn`` it starts workers as ``python -m mpt``."""
    return _start(told, told, ["study", *map(str, arguments)], {"WANDB_MODE": "disabled", **changes}, spawn)


def run(*words: object, **changes: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``mpt`` with some words."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _start(out, err, list(map(str, words)), changes)
        process.join(400)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{words}: {out.read_text()}{err.read_text()}")
        return process.exitcode, out.read_text(), err.read_text()


def _start(out: Path, err: Path, words: list[str], changes: dict[str, str], spawn: bool = False) -> BaseProcess:
    process = SERVER.Process(target=_main, args=(out, err, words, {**os.environ, **ALWAYS, **changes}, spawn))
    process.start()
    return process


def _main(out: Path, err: Path, words: list[str], environment: dict[str, str], spawn: bool = False) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if spawn:
        sys.modules["__main__"] = importlib.import_module("mpt.__main__")  # workers import what was the main module
    else:
        real = multiprocessing.get_context
        multiprocessing.get_context = lambda method=None: real("fork" if method == "spawn" else method)  # type: ignore
    file: Any
    for path, descriptor in ((out, 1), (err, 2)):
        with path.open("a") as file:
            os.dup2(file.fileno(), descriptor)
    from mpt.cli.main import main

    with contextlib.suppress(KeyboardInterrupt):
        main(words)
    sys.stdout.flush()
