"""One entry of a library: a prompt folder that PEFT loads (the value), with another in it (the key)."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpt.prompt.files import StoredPrompt, read_prompt, save_prompt
from mpt.record.rows import dev_score
from mpt.util.errors import UserError, one_line
from mpt.util.files import held, is_folder_name, links_below, refuse_links

if TYPE_CHECKING:
    from torch import Tensor

PROMPTS, KEY = "prompts", "key"
FILES = ("adapter_model.safetensors", "adapter_config.json", "mpt.json")
_PICKLED = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"}
PICKLED = "this may be a pickled file, which can run any code; a prompt is stored as adapter_model.safetensors"
_LONGEST_NAME = 128


@dataclass(frozen=True)
class Entry:
    """What a library knows about one prompt without reading it.

    Attributes:
        name: of its folder, and unique in its library.
        task: what it was learned on.
        seed: of the run; none if its facts do not say.
        backbone: name of the model it was learned on, as given then.
        fingerprint: digest of that model's weights, which decides what it can be compared with.
        prompt_length: P.
        hidden_size: H.
        dev_score: of the value, from 0 to 1; none if its facts do not say.
        facts: the content of ``mpt.json``.
        folder: where it lies.
    """

    name: str
    task: str
    seed: int | None
    backbone: str
    fingerprint: str
    prompt_length: int
    hidden_size: int
    dev_score: float | None
    facts: dict[str, Any] = field(repr=False)
    folder: Path


def amount(value: Any) -> Any:
    """A fact that says how much of something there was; None if it says no such thing."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and math.isfinite(value) and value >= 0 else None


def check_name(name: str) -> str:
    """A name that is safe as a folder's, whatever the system."""
    plain = is_folder_name(name) and not set(name) & set('/:*?"<>|') and name.isprintable()
    if not plain or name.startswith((".", "-", " ")) or name.endswith((".", " ")) or len(name.encode()) > _LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name an entry: a name is one folder's, without slashes, a dot at either end or signs "
            f"such as : * ?, and has at most {_LONGEST_NAME} bytes"
        )
    return name


def read_entry(folder: Path, prompt_length: int | None = None) -> tuple[Entry, npt.NDArray[np.float32]]:
    """An entry and its key ``[P, H]``, after everything in its folder was looked at.

    Args:
        prompt_length: what P should be.

    Raises:
        UserError: whatever is wrong, beginning with the entry's name.
    """
    try:
        check_name(folder.name)
        _refuse_unsafe(folder)
        (value, backbone, facts), (key, _, key_facts) = read_prompt(folder), read_prompt(folder / KEY)
        entry = as_entry(folder, backbone, facts, *value.shape)
        _check_key(entry, list(key.shape), key_facts.get("fingerprint", entry.fingerprint))
    except Exception as error:  # whatever a stranger's files make the libraries raise, the other entries are served
        raise UserError(f"entry {folder.name}: {error if isinstance(error, UserError) else one_line(error)}") from error
    if prompt_length is not None and entry.prompt_length != prompt_length:
        raise UserError(f"entry {entry.name}: its prompt has {entry.prompt_length} rows, its library's {prompt_length}")
    return entry, key


def as_entry(folder: Path, backbone: str, facts: dict[str, Any], prompt_length: int, hidden_size: int) -> Entry:
    """An entry from its facts."""
    fingerprint, task, seed = facts.get("fingerprint"), facts.get("task"), facts.get("seed")
    score = dev_score(facts)
    if not isinstance(fingerprint, str) or not fingerprint:
        raise UserError("its facts have no fingerprint, so nothing says which backbone it belongs to")
    if not isinstance(task, str | None) or not isinstance(seed, int | None) or isinstance(seed, bool):
        raise UserError(f"its facts have task {task!r} and seed {seed!r}; a text and a whole number were expected")
    # Whoever lists a stranger's library prints these.
    if strange := [text for text in (fingerprint, task or "", backbone) if not text.isprintable()]:
        raise UserError(f"its facts have signs that cannot be printed in {strange[0]!r}")
    if isinstance(score, bool) or not isinstance(score, int | float | None):
        raise UserError(f"its facts have dev_score {score!r}; a number was expected")
    return Entry(
        name=folder.name,
        task=task or folder.name,
        seed=seed,
        backbone=backbone,
        fingerprint=fingerprint,
        prompt_length=prompt_length,
        hidden_size=hidden_size,
        dev_score=None if score is None or not math.isfinite(score) else float(score),
        facts=facts,
        folder=folder,
    )


@contextmanager
def placed(folder: Path, adding: Path) -> Iterator[Path]:
    """A path to make an entry at; it becomes ``folder`` in one step if the block ends well, and vanishes otherwise.

    Args:
        folder: where the entry will lie.
        adding: folder on the same file system in which it is made.
    """
    with _work_folder(adding) as work:
        fresh = work / folder.name
        yield fresh
        try:
            os.rename(fresh, folder)  # onto a folder that holds something it fails
        except OSError as error:
            if not folder.exists():
                raise UserError(f"entry {folder.name} cannot be written: {error.strerror}") from error
            raise UserError(
                f"there is an entry {folder.name} already; remove its folder first, or give another name"
            ) from error


_SAME = ("fingerprint", "task", "seed", "num_layers", "num_attention_heads", "revision")
"""What the key's facts have of the value's."""


def write_entry(folder: Path, key: Tensor, value: StoredPrompt, decoder_only: bool) -> None:
    """Write the value with the key ``[P, H]`` in its folder."""
    save_prompt(folder, value.weight, value.backbone, decoder_only, value.facts)
    same = {name: fact for name, fact in value.facts.items() if name in _SAME}
    save_prompt(folder / KEY, key, value.backbone, decoder_only, same)


def copy_entry(source: Path, folder: Path) -> None:
    """Copy an entry's files, and whatever else lies beside them not."""
    for path in files_of(source):
        (folder / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.relative_to(source))


def files_of(folder: Path) -> list[Path]:
    """The files that make an entry, as far as they are there."""
    paths = [below / name for below in (folder, folder / KEY) for name in FILES]
    return [path for path in paths if path.is_file()]


@contextmanager
def _work_folder(adding: Path) -> Iterator[Path]:
    """A folder to work in, locked as long as this process lives, so that another can tell what a dead one left."""
    work = adding / secrets.token_hex(8)
    if adding.is_symlink():
        raise UserError(f"{adding} is a link, which could lead anywhere; remove it")
    try:
        work.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write to the library {adding.parent}: {error.strerror}") from error
    try:
        with held(work, "another process works there"):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def sweep(adding: Path, older_than: float = 60) -> None:
    """Remove what processes that were killed left, but nothing that one is working on.

    Args:
        older_than: seconds; younger folders may not be locked yet.
    """
    if os.name != "posix" or adding.is_symlink():  # without locks nothing tells who is at work
        return
    for work in adding.glob("*"):
        with suppress(OSError, UserError):
            if time.time() - work.stat().st_mtime >= older_than:
                with held(work, "another process works there"):
                    shutil.rmtree(work, ignore_errors=True)


def _refuse_unsafe(folder: Path) -> None:
    if folder.is_symlink() or (folder / KEY).is_symlink():
        raise UserError("its folder is a link, which could lead anywhere")
    refuse_links(folder, links_below(folder), "it")
    if is_pickled(folder) and folder.is_file():
        raise UserError(PICKLED)
    for below in (folder, folder / KEY):
        if not below.is_dir():
            raise UserError("it is no folder" if below is folder else f"it has no {KEY}, another prompt folder in it")
        for path in sorted(below.iterdir()):
            if is_pickled(path):
                raise UserError(f"{path.relative_to(folder)}: {PICKLED}")


def is_pickled(path: Path) -> bool:
    """Whether a file may be pickled, by its suffix."""
    return path.suffix.lower() in _PICKLED


def _check_key(entry: Entry, shape: list[int], fingerprint: str) -> None:
    if shape != [entry.prompt_length, entry.hidden_size]:
        raise UserError(f"its key is {shape}, but its value {[entry.prompt_length, entry.hidden_size]}")
    if fingerprint != entry.fingerprint:
        raise UserError(f"its key was learned on {fingerprint}, but its value on {entry.fingerprint}")
    json.dumps(entry.facts)
