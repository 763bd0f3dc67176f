"""A library of prompts: of each source task a key to find it by and a value to start from (SPoT, section 3.2).

A library is a folder::

    library.json                    the recipe of its keys
    prompts/<name>/                 a prompt folder that PEFT loads: the value
    prompts/<name>/key/             another: the key

The folders are all there is to it: an index only says again, faster, what they say.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpt.library.card import prompt_card
from mpt.library.entry import (
    KEY,
    PICKLED,
    PROMPTS,
    Entry,
    amount,
    check_name,
    copy_entry,
    files_of,
    is_pickled,
    placed,
    read_entry,
    sweep,
    write_entry,
)
from mpt.library.index import Index
from mpt.library.pooling import MEASURES
from mpt.library.published import last_part
from mpt.library.recipe import FILE, KeyRecipe, as_json, read_recipe
from mpt.library.search import SearchHit, search
from mpt.prompt.files import CARD, StoredPrompt, load_prompt
from mpt.util.errors import UserError, one_line
from mpt.util.files import new_folder, refuse_links, write_json, write_text
from mpt.util.names import nearest
from mpt.util.places import expanded
from mpt.util.reading import read_json

if TYPE_CHECKING:
    from torch import Tensor

HUB = "hub:"
SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "library"
_SHIPPED_FOR = {"smollm2-135m": "english"}
_ADDING, _INDEX = ".adding", ".index"

log = logging.getLogger(__name__)


def shipped_libraries() -> dict[str, Path]:
    """Name and folder of every library that ships with the package."""
    return {path.parent.name: path.parent for path in sorted(SHIPPED.glob(f"*/{FILE}"))}


def shipped_for(backbone: str | None) -> str | None:
    """Name of the library that ships with the package for a model of a language; none for others."""
    return _SHIPPED_FOR.get(backbone or "")


class Library:
    """A folder of prompts that several processes may add to while others search.

    Get one from :meth:`open` or :meth:`create`. An entry that cannot be read, or that holds pickled files, is told
    once in a warning and left out; :attr:`refused` says why.

    Attributes:
        folder: where it lies.
        recipe: how its keys were made.
        hub: ``hub:owner/name`` if the folder is a copy of that in the cache; nothing is added to it.
    """

    def __init__(self, folder: Path, hub: str = "") -> None:
        self.folder = folder
        self.hub = hub
        refuse_links(folder, (FILE, PROMPTS), f"library {hub or folder}")
        self.recipe: KeyRecipe = read_recipe(folder)
        self._strays: dict[str, str] = {}
        self._warned: set[str] = set()
        own = not hub and not folder.resolve().is_relative_to(SHIPPED)
        read = partial(read_entry, prompt_length=self.recipe.prompt_length)
        self._index = Index(folder / PROMPTS, folder / _INDEX if own else None, read)

    @classmethod
    def open(cls, where: str | Path) -> Library:
        """A library that is there.

        Args:
            where: its folder, the name of one that ships with the package, or ``hub:owner/name``, which is
                downloaded first (``hub:owner/name@revision`` for a branch, tag or commit).

        Raises:
            UserError: it is nowhere, or no library, or the hub cannot be reached.
        """
        folder = expanded(where)
        if str(where).startswith(HUB):
            from mpt.library.hub import fetch

            return cls(fetch(str(where).removeprefix(HUB)), str(where))
        names = shipped_libraries()
        if str(where) in names and not (folder / FILE).exists():
            return cls(names[str(where)])
        if folder.is_dir():
            return cls(folder)
        hint = f"; {nearest(str(where), names)}" if names else ""
        raise UserError(f"library {where}: no such folder, and no library that ships with the package{hint}")

    @classmethod
    def create(cls, folder: str | Path, recipe: KeyRecipe) -> Library:
        """A new library, or the one that is there if its recipe is the same.

        Raises:
            UserError: there is one of another recipe, or something else.
        """
        folder = expanded(folder)
        with _in_one_sentence(f"cannot write to the library {folder}"):
            if not os.path.lexists(folder / FILE):
                hidden = folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())
                another = (folder / FILE).exists()  # made by another process since it was asked
                if folder.exists() and not hidden and not another:
                    raise UserError(f"{folder} is there and no prompt library; give a new folder or an empty one")
                write_json(folder / FILE, as_json(recipe))
        library = cls(folder)
        library.check_recipe(recipe)
        return library

    def check_recipe(self, recipe: KeyRecipe, end: str = "") -> None:
        """Refuse keys that were made in another way."""
        own, other = asdict(self.recipe), asdict(recipe)
        # What was pushed names a model's folder by its last part.
        if last_part(own["backbone"]) == last_part(other["backbone"]):
            del own["backbone"]
        if different := [f"{name} {own[name]} (not {other[name]})" for name in own if own[name] != other[name]]:
            raise UserError(f"the keys of the library {self.folder} were made with {', '.join(different)}{end}")

    @property
    def refused(self) -> dict[str, str]:
        """What is wrong with each entry that is left out, by name, as far as the last search or list noticed."""
        return self._strays | {name: complaint for name, (_, complaint) in self._index.refused.items()}

    # Adding -------------------------------------------------------------------------------------------------

    def add(self, name: str, key: Tensor, value: Tensor, facts: dict[str, Any], *, decoder_only: bool) -> Entry:
        """Add a prompt; it is there whole or not at all, and any number of processes may do so at once.

        Args:
            name: of its folder.
            key: ``[P, H]``, made by the recipe.
            value: ``[P, H]``.
            facts: what its ``mpt.json`` should hold: ``fingerprint`` of the backbone, and as far as they are known
                ``task``, ``seed``, ``dev_score`` (from 0 to 1), ``backbone`` (default: the recipe's).
            decoder_only: whether the backbone is, for PEFT's configuration.

        Raises:
            UserError: the name is taken or would escape the folder, the shapes are not the recipe's, the facts lack
                a fingerprint.
        """
        check_name(name)
        length = self.recipe.prompt_length
        for what, tensor in (("key", key), ("value", value)):
            if tensor.dim() != 2 or len(tensor) != length or tensor.shape != key.shape:
                raise UserError(
                    f"entry {name}: its {what} has the shape {list(tensor.shape)}, but the prompts of "
                    f"{self.folder} are [{length}, H]"
                )
        stored = StoredPrompt(value.detach(), str(facts.get("backbone", self.recipe.backbone)), facts)
        return self._place(name, lambda fresh: write_entry(fresh, key.detach(), stored, decoder_only))

    def add_run(self, run: str | Path, name: str | None = None) -> Entry:
        """Add what a run of prompt tuning learned: ``prompt/`` as the value, ``early/step-<key_steps>/`` as the key.

        Args:
            run: its folder.
            name: of the entry (default: ``<task>-<seed of the draw>``).

        Raises:
            UserError: the folder is no such run's, its key was made in another way than this library's, or
                see :meth:`add`.
        """
        from mpt.library.from_run import read_run

        read = read_run(Path(run), self.recipe.key_steps)
        # The backbone may be another: searches tell them apart by the fingerprint.
        self.check_recipe(replace(read.recipe, backbone=self.recipe.backbone), f"; those of the run {run} were not")
        facts = {**read.facts, "backbone": read.value.backbone}
        return self.add(name or read.name, read.key.weight, read.value.weight, facts, decoder_only=read.decoder_only)

    def copy(self, entry: Entry) -> Entry:
        """Add an entry of another library of this recipe, byte for byte."""
        return self._place(entry.name, lambda fresh: copy_entry(entry.folder, fresh))

    # Reading ------------------------------------------------------------------------------------------------

    def entries(self, fingerprint: str | None = None) -> list[Entry]:
        """All entries by name, or those of one backbone."""
        self._update(thorough=True)
        found = (row.entry(self._index.prompts) for row in self._index.rows.values())
        return [entry for entry in found if fingerprint in (None, entry.fingerprint)]

    def rebuild(self) -> None:
        """Make the index anew from the folders, whatever it holds, and remove what killed processes left."""
        sweep(self.folder / _ADDING)
        self._index.rebuild()
        self._warn()

    def entry(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            UserError: there is none; names the nearest. Or it is damaged.
        """
        folder = self.folder / PROMPTS / check_name(name)
        if not os.path.lexists(folder):
            raise UserError(f"library {self.folder} has no entry {name}; {nearest(name, self._names())}")
        return read_entry(folder, self.recipe.prompt_length)[0]

    def export(self, name: str, folder: str | Path) -> Path:
        """Write the value of an entry as a prompt folder of its own, which PEFT loads.

        Raises:
            UserError: there is no such entry, something where the folder would be, or no way to write there.
        """
        entry, folder = self.entry(name), expanded(folder)
        with _in_one_sentence(f"entry {name} cannot be written to {folder}"):
            if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"{folder} is there already; give a new folder or an empty one")
            with new_folder(folder) as fresh:
                for path in files_of(entry.folder):
                    if path.parent == entry.folder:
                        shutil.copyfile(path, fresh / path.name)
                config = read_json(fresh / "adapter_config.json")
                write_text(fresh / CARD, prompt_card(config, entry.facts))
        return folder

    def check_excluded(self, tasks: Collection[str]) -> None:
        """Refuse tasks to leave out that no entry was learned on: one that is misspelt would be left in."""
        self._update()
        there = {row.task for row in self._index.rows.values()}
        for task in tasks:
            if task not in there:
                near = nearest(task, there)
                raise UserError(f"--exclude {task}: the library {self.folder} has no prompt of that task; {near}")

    def cost(self, entry: Entry) -> tuple[int | None, int | None, float | None]:
        """Optimiser steps, example passes and seconds of the run that an entry's value, and on its way its key, is of.

        None is what its facts do not tell; where they tell the steps alone, each took the recipe's batch.
        """
        steps, examples, seconds = (amount(entry.facts.get(name)) for name in ("steps", "examples", "seconds"))
        if examples is None and steps is not None:
            examples = steps * self.recipe.batch_size
        return steps, examples, seconds

    def key(self, entry: Entry) -> Tensor:
        """``[P, H]``: what an entry is found by."""
        return load_prompt(entry.folder / KEY).weight

    def value(self, entry: Entry) -> Tensor:
        """``[P, H]``: what another task may start from."""
        return load_prompt(entry.folder).weight

    def keys(self, entries: Sequence[Entry]) -> Tensor:
        """``[N, P, H]``: the keys of entries of one backbone."""
        if len({entry.fingerprint for entry in entries}) > 1:
            raise UserError("keys of several backbones cannot be compared; choose entries by fingerprint")
        return self._together(entries, self.key)

    def values(self, entries: Sequence[Entry]) -> Tensor:
        """``[N, P, H]``: the values of entries of one backbone."""
        return self._together(entries, self.value)

    def _together(self, entries: Sequence[Entry], read: Callable[[Entry], Tensor]) -> Tensor:
        import torch

        found = [read(entry) for entry in entries]
        for entry, tensor in zip(entries, found, strict=True):
            if tensor.shape != found[0].shape:
                raise UserError(
                    f"library {self.folder}: {entry.name} is {list(tensor.shape)}, and {entries[0].name} of the same "
                    f"weights {list(found[0].shape)}; one of them is not what was added: remove its folder"
                )
        return torch.stack(found)

    def search(
        self, key: Tensor, k: int, by: str = "per_token", *, fingerprint: str, exclude_tasks: Collection[str] = ()
    ) -> list[SearchHit]:
        """The entries of one backbone whose keys are most similar to a key, the most similar first.

        Args:
            key: ``[P, H]``, made by the recipe of this library.
            k: how many; fewer if there are no more.
            by: one of :data:`mpt.library.pooling.MEASURES`. The index has what the cosines of pooled keys
                need; ``subspace`` and ``centred`` read every key, which takes a minute where there are 100,000.
            fingerprint: of the backbone that the key was made on.
            exclude_tasks: tasks whose entries are left out.

        Raises:
            UserError: there is no such similarity, k is below 1, or the key is no ``[P, H]`` of this backbone.
        """
        if by not in MEASURES:
            raise UserError(f"there is no similarity {by}; {nearest(by, MEASURES)}")
        if k < 1:
            raise UserError(f"a search finds k entries, at least 1, not {k}")
        if key.dim() != 2 or len(key) != self.recipe.prompt_length or not key.isfinite().all():
            raise UserError(
                f"the keys of {self.folder} are [{self.recipe.prompt_length}, H] and finite; "
                f"the one sought is {list(key.shape)}"
            )
        self._update()
        hits = search(self._index, key.detach(), k, by, fingerprint, exclude_tasks)
        self._warn()
        return hits

    # Inside -------------------------------------------------------------------------------------------------

    def _place(self, name: str, write: Callable[[Path], None]) -> Entry:
        if self.hub:
            raise UserError(f"library {self.hub} is on the hub; pull it into a folder, add to that, and push it")
        folder = self.folder / PROMPTS / name
        with _in_one_sentence(f"cannot write to the library {self.folder}"):
            folder.parent.mkdir(exist_ok=True)
            sweep(self.folder / _ADDING)
            with placed(folder, self.folder / _ADDING) as fresh:
                write(fresh)
                entry, _ = read_entry(fresh, self.recipe.prompt_length)
        return replace(entry, folder=folder)

    def _names(self) -> list[str]:
        folder = self.folder / PROMPTS
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def _update(self, thorough: bool = False) -> None:
        strays = [path.name for path in self.folder.iterdir() if is_pickled(path)]
        self._strays = {name: f"{name}: {PICKLED}" for name in strays}
        self._index.update(thorough)
        self._warn()

    def _warn(self) -> None:
        for reason in self.refused.values():
            if reason not in self._warned:
                self._warned.add(reason)
                log.warning("library %s: %s; it is left out", self.folder, reason)


@contextmanager
def _in_one_sentence(begin: str) -> Iterator[None]:
    """Say in one sentence what the system does not allow."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{begin}: {error.strerror or one_line(error)}") from error
