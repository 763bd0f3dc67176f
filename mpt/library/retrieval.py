"""Which prompts of a library a target task's key retrieves (Vu et al. 2022, "SPoT", section 3.3; Qin et al. 2023, A.7).

All is looked up when a run begins, from the library and from the folder that holds the target's key, so that a command
line can name what is retrieved before the key is made.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from mpt.library.entry import Entry, files_of
from mpt.library.library import HUB, Library
from mpt.library.pooling import MEASURES, Measure
from mpt.library.search import SearchHit
from mpt.prompt.files import StoredPrompt, load_prompt
from mpt.record.rows import seven_digits
from mpt.util.errors import UserError

Order = Literal["highest", "random", "lowest"]
ORDERS: tuple[str, ...] = get_args(Order)


@dataclass(frozen=True)
class Retrieval:
    """A ranking of a library's prompts for one target task.

    Attributes:
        library: a folder, the name of a shipped library, or ``hub:owner/name``.
        key: prompt folder of the target's key, made by the library's recipe (``mpt fit --config embedding``).
        top_k: how many source tasks are retrieved, each once and with the place of its first prompt in the ranking.
            SPoT takes the tasks of the first top_k prompts, which are fewer where a task has several prompts.
        by: the measure of similarity. ``per_token`` is the choice of SPoT (section 3.3), and what studies go by;
            ``centred`` finds like tasks more often (docs/guides/library.md), so that ``mpt adapt`` and ``mpt library
            search`` go by it.
        order: ``highest`` similarity first, ``lowest`` first, or ``random``.
        exclude: tasks whose prompts are never retrieved.
        seed: of the random order, with the target's name.
        digest: of what may be retrieved, see :func:`digest`; not looked at unless given.
        own: the files of a user's own tasks, which are learned on where tasks called so are retrieved.

    Raises:
        UserError: an option that makes no sense.
    """

    library: str
    key: str
    top_k: int = 3
    by: Measure = "per_token"
    order: Order = "highest"
    exclude: list[str] = field(default_factory=list)
    seed: int = 0
    digest: str | None = None
    own: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise UserError(f"retrieval: top_k must be at least 1, not {self.top_k}")
        for name, known in (("by", MEASURES), ("order", ORDERS)):
            if getattr(self, name) not in known:
                raise UserError(f"retrieval: {name} is one of {', '.join(known)}, not {getattr(self, name)!r}")

    def ranked(self, first: int | None = None) -> tuple[Library, StoredPrompt, list[SearchHit]]:
        """The library, the target's key, and the prompts that may be retrieved, in order.

        Equal similarities are in the order of the entries' names.

        Args:
            first: how many are enough; all if not given.

        Raises:
            UserError: no such library or key; a library that has changed, or that has nothing to retrieve.
        """
        library = open_library(self.library)
        if self.digest is not None and (now := digest(candidates(library, self.exclude))) != self.digest:
            raise UserError(
                f"the library {self.library} has changed: the digest of what may be retrieved was {self.digest} and is "
                f"{now}; put back what was there, or start anew"
            )
        key = load_prompt(self.key)
        fingerprint = key.facts.get("fingerprint")
        if fingerprint is None:
            raise UserError(f"key {self.key} does not say which weights it was learned on; make it by mpt fit")
        # A large library need not tell all of its entries where a few will do.
        enough = first if first is not None and self.order == "highest" else sys.maxsize
        hits = library.search(key.weight, enough, self.by, fingerprint=fingerprint, exclude_tasks=self.exclude)
        hits = sorted(hits, key=lambda hit: (-hit.similarity, hit.entry.name))
        if not hits:
            raise UserError(
                f"the library {self.library} has nothing to retrieve for {key.backbone} (weights {fingerprint}): of "
                f"{len(library.entries())} prompts, those of other weights or of excluded tasks are left out"
            )
        if self.order == "lowest":
            hits.reverse()
        elif self.order == "random":
            hits.sort(key=lambda hit: hit.entry.name)
            random.Random(f"{self.seed} {key.facts.get('task')}").shuffle(hits)
        return library, key, hits

    @cached_property
    def hits(self) -> list[SearchHit]:
        """The first prompt of each of the ``top_k`` tasks that come first, each counted once; looked up once.

        Raises:
            UserError: see :meth:`ranked`; or there are fewer tasks.
        """
        hits: dict[str, SearchHit] = {}
        for hit in self.ranked()[2]:
            hits.setdefault(hit.entry.task, hit)
        if len(hits) < self.top_k:
            raise UserError(f"the library {self.library} has {len(hits)} tasks to retrieve, and top_k is {self.top_k}")
        return list(hits.values())[: self.top_k]


def open_library(where: str) -> Library:
    """:meth:`mpt.library.library.Library.open`, which asks the hub but once in a process."""
    return _from_hub(where) if where.startswith(HUB) else Library.open(where)


@cache
def _from_hub(where: str) -> Library:
    return Library.open(where)


def sources_and_similarities(hits: Sequence[SearchHit], names: Sequence[str]) -> dict[str, Any]:
    """What a run's result says of what was retrieved: ``source`` and ``similarity``, in a list where several were."""
    values = [seven_digits(hit.similarity) for hit in hits]
    if len(names) == 1:
        return {"source": names[0], "similarity": values[0]}
    return {"source": list(names), "similarity": values}


def candidates(library: Library, exclude: Collection[str]) -> list[Entry]:
    """The entries that may be retrieved, by name."""
    left_out = set(exclude)
    return sorted((entry for entry in library.entries() if entry.task not in left_out), key=lambda entry: entry.name)


def digest(entries: Sequence[Entry]) -> str:
    """Of the entries' names, tasks, keys and values: of everything that decides what is retrieved."""
    content = hashlib.sha256()
    for entry in entries:
        content.update(f"{entry.name} {entry.task} {entry.fingerprint} ".encode())
        for path in sorted(path for path in files_of(entry.folder) if path.suffix == ".safetensors"):
            facts = path.stat()
            content.update(_file_digest(path, facts.st_size, facts.st_mtime_ns))
    return content.hexdigest()[:16]


@cache
def _file_digest(path: Path, size: int, modified: int) -> bytes:
    """Read once, until the file is another: each of a study's runs asks."""
    return hashlib.sha256(path.read_bytes()).digest()
