"""A prompt library on the Hugging Face hub: a repository with the same files as the folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from mpt.library.entry import PROMPTS, Entry, files_of
from mpt.library.hub import TIMEOUT, fetch, hub_api, pushing
from mpt.library.library import Library
from mpt.library.published import last_part, published
from mpt.library.recipe import FILE, read_recipe
from mpt.prompt.files import CARD
from mpt.util.errors import UserError

_AT_ONCE = 50
"""Entries in a commit."""
_TRIES = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """What a push or pull did.

    Attributes:
        moved: names of the entries that were copied.
        there: names of those that were there already, the same.
        refused: what is wrong with those that were left out, by name.
    """

    moved: list[str]
    there: list[str]
    refused: Mapping[str, str]


def pull(where: str, folder: Path) -> SyncResult:
    """Copy the entries of a library on the hub into a folder, which is made if it is not there.

    Args:
        where: ``owner/name``, with or without ``hub:`` before it and ``@revision`` behind.

    Raises:
        UserError: see :func:`fetch`; the folder holds something else, a library of another recipe, or another entry of
            a name; then nothing was copied.
    """
    where = where.removeprefix("hub:")
    theirs = Library(fetch(where), f"hub:{where}")
    ours = Library.create(folder, theirs.recipe)
    entries = theirs.entries()
    there = [entry for entry in entries if (ours.folder / PROMPTS / entry.name).exists()]
    for entry in there:
        if _sums(entry.folder) != _sums(ours.folder / PROMPTS / entry.name):
            raise UserError(_two_of_a_name(entry.name, str(ours.folder), where))
    known = {entry.name for entry in there}
    fresh = [entry for entry in entries if entry.name not in known]
    for entry in fresh:
        ours.copy(entry)
    return SyncResult([entry.name for entry in fresh], [entry.name for entry in there], theirs.refused)


def push(library: Library, where: str, private: bool = False) -> SyncResult:
    """Add the entries of a library to a repository on the hub, which is made if it is not there.

    What the repository has already stays as it is, so that several people can push to one.

    Args:
        where: ``owner/name``, with or without ``hub:`` before it.
        private: if the repository is made, whether only its owner sees it.

    Raises:
        UserError: no token, no right to write, no hub; the repository holds something else, a library of another
            recipe, or another entry of a name; then nothing was uploaded.
    """
    repo = where.removeprefix("hub:")
    api = hub_api(repo)
    entries = library.entries()
    if not entries:
        raise UserError(f"library {library.folder} has no entry to push")
    with pushing(api, repo, private):
        fresh = _push(api, library, entries, repo)
    names = {entry.name for entry in fresh}
    return SyncResult(sorted(names), [e.name for e in entries if e.name not in names], library.refused)


def _push(api: HfApi, library: Library, entries: list[Entry], repo: str) -> list[Entry]:
    """Those entries that were not there."""
    done: list[Entry] = []
    tries = 0
    while True:
        info: Any = api.repo_info(repo, timeout=TIMEOUT, files_metadata=True)
        theirs = {file.rfilename: _their_sum(file) for file in info.siblings or []}
        _check_library(api, library, repo, theirs)
        entries = _missing(entries, theirs, str(library.folder), repo)  # what is there stays there
        if not entries and FILE in theirs:
            return done
        part = entries[:_AT_ONCE]
        paths = [path for entry in part for path in files_of(entry.folder)]
        operations = [
            CommitOperationAdd(path.relative_to(library.folder).as_posix(), published(path)) for path in paths
        ]
        if FILE not in theirs:
            operations.append(CommitOperationAdd(FILE, published(library.folder / FILE)))
        if CARD not in theirs:
            operations.append(CommitOperationAdd(CARD, _card(library, repo).encode()))
        message = f"Add {len(part)} prompts"
        try:
            # On top of what was looked at: of two pushes at once the second looks again.
            api.create_commit(repo, operations, commit_message=message, parent_commit=info.sha)
        except HfHubHTTPError as error:
            tries += 1
            if error.response.status_code not in (409, 412) or tries == _TRIES:
                raise
            continue
        done += part


def _check_library(api: HfApi, library: Library, repo: str, theirs: Mapping[str, str]) -> None:
    if FILE in theirs:
        path = Path(str(api.hf_hub_download(repo, FILE)))
        library.check_recipe(read_recipe(path.parent), f"; those of {repo} were not")
    elif others := sorted(set(theirs) - {".gitattributes", CARD}):
        raise UserError(f"hub repository {repo} is no prompt library: it holds {others[0]}; give another name")


def _missing(entries: list[Entry], theirs: Mapping[str, str], ours: str, repo: str) -> list[Entry]:
    there: dict[str, dict[str, str]] = {}
    for path, value in theirs.items():
        folder, _, rest = path.removeprefix(f"{PROMPTS}/").partition("/")
        there.setdefault(folder, {})[rest] = value
    missing = []
    for entry in entries:
        if not (stored := there.get(entry.name)):
            missing.append(entry)
        elif any(stored.get(path) not in sums for path, sums in _sums(entry.folder).items()):
            raise UserError(_two_of_a_name(entry.name, ours, repo))
    return missing


def _sums(folder: Path) -> dict[str, tuple[str, str]]:
    """Of each file of an entry, as it is pushed, what the hub may know it by: its own SHA-256, or Git's SHA-1."""
    sums = {}
    for path in files_of(folder):
        content = published(path)
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        sums[path.relative_to(folder).as_posix()] = (hashlib.sha256(content).hexdigest(), blob)
    return sums


def _their_sum(file: Any) -> str:
    return str(file.lfs.sha256 if file.lfs else file.blob_id)


def _two_of_a_name(name: str, ours: str, theirs: str) -> str:
    return f"{ours} and {theirs} have different entries of the name {name}; rename the folder of one"


def _card(library: Library, repo: str) -> str:
    return f"""---
library_name: peft
tags:
- prompt-tuning
- mpt
---

# {repo.partition("/")[2]}

Soft prompts of {library.recipe.prompt_length} tokens for {last_part(library.recipe.backbone)},
each with its task embedding, as a library of mpt:

```
mpt library list hub:{repo}
```

Each folder below `{PROMPTS}/` is one that PEFT loads onto the model it was learned on:

```python
from peft import PeftModel

model = PeftModel.from_pretrained(model, "{repo}", subfolder="{PROMPTS}/NAME")
```
"""
