"""Files as they should not be: ways to damage one, and a command that has to refuse it in one sentence."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from support.toy import Finished, Mpt

SECONDS = 20
"""A command that takes longer hangs."""
_LONGEST = 2000
"""Signs of a sentence, paths in it."""

Damage = Callable[[Path], object]
"""Makes another file of a good one."""


def as_text(text: str) -> Damage:
    return lambda path: path.write_text(text, encoding="utf-8")


def _bytes(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def _in_place(make: Callable[[Path], object]) -> Damage:
    """Something else than a file where the file was."""

    def damage(path: Path) -> None:
        path.unlink(missing_ok=True)
        make(path)

    return damage


def _sparse(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate((1 << 30) + 1)


NO_FILE: dict[str, Damage] = {
    "missing": _in_place(lambda path: None),
    "a folder": _in_place(Path.mkdir),
    "a pipe": _in_place(os.mkfifo),
    "unreadable": lambda path: path.chmod(0),
}
"""What is no file that can be read."""
LINKS: dict[str, Damage] = {
    "endless device": _in_place(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": _in_place(lambda path: path.symlink_to(path)),
}
NO_TEXT: dict[str, Damage] = {
    "empty": _bytes(b""),
    "binary": _bytes(bytes(range(256)) * 8),
    "UTF-16": lambda path: path.write_bytes(path.read_bytes().decode("utf-8", "replace").encode("utf-16")),
    "1 GB": _sparse,
}
NO_TEXT_FILE = {**NO_FILE, **LINKS, **NO_TEXT}
DEEP = 100_000
NO_JSON: dict[str, Damage] = {
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a list": as_text("[]"),
    "null": as_text("null"),
    "a number": as_text("7"),
    "a text": as_text('"x"'),
    "deep lists": as_text("[" * DEEP),
    "deep objects": as_text('{"a":' * DEEP),
    "deep and whole": as_text('{"a":' * 900 + "1" + "}" * 900),
    "huge number": as_text(f'{{"a": {"9" * 5000}}}'),
}
NO_JSON_FILE = {**NO_TEXT_FILE, **NO_JSON}
NO_YAML: dict[str, Damage] = {
    "deep lists": as_text("a: " + "[" * DEEP),
    "deep blocks": as_text("\n".join(" " * i + "a:" for i in range(200))),
    "aliases that multiply": as_text(
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    ),
    "merges that multiply": as_text(
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}, y: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
    ),
    "an alias of itself": as_text("a: &a [*a]\n"),
    "code": as_text("a: !!python/object/apply:os.mkdir [trap]\n"),
    "two documents": as_text("a: 1\n---\nb: 2\n"),
    "a list": as_text("[1, 2]\n"),
    "a number": as_text("7\n"),
    "a text": as_text("just words\n"),
    "a key twice": lambda path: path.write_text(path.read_text() + "\n" + path.read_text()),
    "open brackets": lambda path: path.write_text(path.read_text() + "\nz: {[\n"),
    "a tab": lambda path: path.write_text("a:\n\tb: 1\n"),
    "huge number": as_text(f"name: {'9' * 5000}\n"),
    "an escape": as_text('"\\e[2J\\nroot": 1\n'),
    "a long line": lambda path: path.write_text("name: " + "x" * (50 << 20)),
    "control signs": as_text("name: a\x01b\n"),
}
NO_YAML_FILE = {**NO_TEXT_FILE, **NO_YAML}


def without(damages: dict[str, Damage], *names: str) -> dict[str, Damage]:
    """All damages but some, which are none for a file."""
    return {name: damage for name, damage in damages.items() if name not in names}


class Refused:
    """Runs a command that has to end with code 2 and one sentence, and to leave everything as it was.

    Args:
        folder: what must not change.
    """

    def __init__(self, mpt: Mpt, folder: Path) -> None:
        self.mpt, self.folder = mpt, folder

    def __call__(self, *words: object, says: str = "") -> str:
        before = contents(self.folder)
        done = self.finished(*words)
        assert done.code == 2, f"code {done.code}\n{done.out}\n{done.err}"
        *told, line, end = done.err.split("\n")
        assert line.startswith("mpt: error: ") and not end and all(map(str.isprintable, (*told, line))), done.err
        sentence = line.removeprefix("mpt: error: ")
        assert len(sentence) < _LONGEST and not any("error" in other for other in told)
        assert "Traceback" not in done.out + done.err
        assert says in sentence
        assert contents(self.folder) == before
        return sentence

    def finished(self, *words: object, seconds: int = SECONDS) -> Finished:
        """What the command left behind, whatever it said."""
        with at_most(seconds), without_privileges():
            return self.mpt(*words)


def make_alike(good: Path, folder: Path) -> None:
    """Remove and copy again what is not as in another folder."""
    for stray in (*folder.parent.iterdir(), *folder.rglob(".index")):
        if stray != folder:
            remove(stray)
    wanted, found = contents(good), contents(folder)
    for name in sorted(found, reverse=True):  # what is in a folder before the folder
        if found[name] != wanted.get(name) and (folder / name).parent.is_dir():
            remove(folder / name)
    for name in wanted:
        if not (folder / name).exists():
            copy = shutil.copytree if (good / name).is_dir() else shutil.copy2
            copy(good / name, folder / name)


def remove(path: Path) -> None:
    """A file, a link or a whole folder, whatever it allows."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def contents(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Path to kind, size and time of change of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if ".index" in path.parts:  # a library's, which is made anew at need
            continue
        about = path.lstat()
        changed = 0 if stat.S_ISDIR(about.st_mode) else about.st_mtime_ns
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_size if changed else 0, changed)
    return found


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """An AssertionError after so long, also out of a call that waits."""

    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs: more than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Let the modes of files count for root too, as where tests run in a container (Linux: CAP_DAC_OVERRIDE)."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    fewer = (ctypes.c_uint32 * 6)(*before)
    fewer[0] &= ~0b111  # effective: chown, override, read and search
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0
