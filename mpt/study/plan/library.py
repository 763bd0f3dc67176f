"""The words that retrieval adds to the command lines of a study's runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpt.data.tasks.partitions import load_partition
from mpt.record.options import plain
from mpt.study.spec.retrieve import Retrieve
from mpt.util.errors import UserError

if TYPE_CHECKING:
    from mpt.library.entry import Entry
    from mpt.library.library import Library
    from mpt.study.spec.methods import Method
    from mpt.study.spec.settings import Setting
    from mpt.study.spec.study import Study

_SMALL = 1 << 29
"""Bytes of weights, half a gigabyte, that are loaded within a second or two."""

RETRIEVED = "mpt.library.retrieved.Retrieved"

_KEPT = (
    "config",
    "trainer.default_root_dir",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.deterministic",
    "trainer.benchmark",
    "trainer.logger",
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.profiler",
    "model.backbone",
    "model.backbone_options",
    "data.root",
    "data.task",
    "data.seed",
    "data.k",
    "data.metric",
    "data.num_workers",
)
"""All that a study says of the runs that make keys: how they are done, and on what; the library's recipe says how a key
is learned, and what neither names is as it was for the library's own keys.
"""


_TOGETHER: dict[str, dict[str, Any]] = {
    "average": {},
    "sum": {"model.init.use": "sum"},
    "mixed": {"model.init.use": "each", "model.reparameterisation": "mpt.prompt.mixture.Mixture"},
}
"""Options of a run that starts from several prompts at once, by the use that is made of them."""


@dataclass(frozen=True)
class RetrievedStart:
    """One way in which a run may begin with what is retrieved.

    Attributes:
        rank: of the prompt it starts from; none for several at once.
        options: of its command line.
    """

    rank: int | None
    options: dict[str, Any]


class StudyLibrary:
    """A study's library as the plan needs it: read once, and only if a method retrieves."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._known: dict[tuple[bool, str], tuple[list[str], list[Entry], str]] = {}
        self._weights: dict[str, str | None] = {}

    @cached_property
    def library(self) -> Library:
        """The library."""
        from mpt.library.retrieval import open_library

        try:
            return open_library(str(self.study.library))
        except UserError as error:
            raise UserError(f"{self.study.file}: library: {error}") from error

    @cached_property
    def entries(self) -> list[Entry]:
        """All its entries."""
        return self.library.entries()

    def key_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a run that makes a target's key, as the library's keys were made.

        Args:
            options: as for any run of the study; what they say of learning (accumulated or clipped gradients,
                precision, callbacks) is not the study's to say here.
        """
        from mpt.library.recipe import OPTIONS

        told = set(OPTIONS.values())
        kept = {name: value for name, value in options.items() if _is_kept(name) and plain(name) not in told}
        # Not that there was no chat: nothing else says that there is one, and finished runs were not told either.
        said = {option: getattr(self.library.recipe, name) for name, option in OPTIONS.items()}
        return kept | {option: value for option, value in said.items() if value is not False}

    def excluded(self, retrieve: Retrieve, setting: Setting) -> list[str]:
        """Tasks whose prompts are not retrieved: the setting's targets, and what are no source tasks of it."""
        held_out = {*load_partition(setting.given).target, *setting.targets, *setting.missing_targets}
        own = set(setting.sources)
        strangers = {entry.task for entry in self.entries if entry.task not in own and not retrieve.everything}
        return sorted(held_out | strangers)

    def candidates(self, retrieve: Retrieve, setting: Setting, backbone: str) -> list[Entry]:
        """The prompts that may be retrieved, by name, as far as that can be told cheaply.

        They are those of the weights that any prompt of the backbone's name was learned on, whatever the others call
        them; where none has that name, those of the weights that a small local backbone has.
        """
        found = self._among(retrieve, setting)[1]
        fit = {entry.fingerprint for entry in found if Path(entry.backbone).name == Path(backbone).name}
        if found and not fit:
            fit = {self._fingerprint(backbone) or ""}
        return [entry for entry in found if entry.fingerprint in fit]

    def tasks(self, retrieve: Retrieve, setting: Setting, backbone: str) -> tuple[str, ...]:
        """The tasks of these prompts, in the setting's order."""
        found = {entry.task for entry in self.candidates(retrieve, setting, backbone)}
        return tuple(task for task in setting.sources if task in found)

    def count(self, method: Method, setting: Setting, backbone: str, length: Any = None) -> int:
        """How many prompts or tasks a method retrieves.

        Args:
            backbone: of its runs.
            length: of the prompts that they start from, if they do and it is known.
        """
        assert method.retrieve is not None
        where = f"{self.study.file}: methods.{method.name}"
        entries = self.candidates(method.retrieve, setting, backbone)
        tasks = {entry.task for entry in entries}
        there, what = len(entries), "prompts"
        if method.upstream is not None:
            there, what = len(tasks), "tasks"
        others = sorted({entry.backbone for entry in self._among(method.retrieve, setting)[1]})
        if others and not entries:
            raise UserError(
                f"{where}.retrieve: the library {self.study.library} has prompts of {', '.join(others)}, and "
                f"{backbone} has other weights or another name; give a library of that backbone, or name the backbone "
                "as the library does"
            )
        wanted = method.retrieve.top_k or there
        if not there or wanted > there:
            among = "beside the target tasks" if method.retrieve.everything else f"of source tasks of {setting.name}"
            raise UserError(
                f"{where}.retrieve: top_k is {method.retrieve.top_k or 'all'}, but the library {self.study.library} "
                f"has {there or 'no'} {what} {among} on {backbone}"
            )
        own = self.library.recipe.prompt_length
        if length is not None and length != own:
            raise UserError(
                f"{where}: its prompts have length {length}, and those of the library {self.study.library} {own}; set "
                f"model.prompt_length to {own}"
            )
        return wanted

    def starts(
        self, method: Method, setting: Setting, backbone: str, length: Any, key: str, seed: int
    ) -> Iterator[RetrievedStart]:
        """How the runs of a method without an upstream stage start.

        Args:
            key: prompt folder of the target's key.
            seed: of a random order.
        """
        assert method.retrieve is not None
        count = self.count(method, setting, backbone, length)
        words = self._words(method.retrieve, setting, key, seed)
        together = _TOGETHER.get(method.retrieve.use)
        for rank in range(1, count + 1) if together is None else [None]:
            number = {"model.init.rank": rank} if together is None else {"model.init.top_k": count, **together}
            named = {f"model.init.{name}": value for name, value in words.items()}
            yield RetrievedStart(rank, {"model.init": RETRIEVED, **named, **number})

    def data(self, method: Method, setting: Setting, backbone: str, key: str, seed: int) -> dict[str, Any]:
        """What an upstream stage learns on, as options."""
        assert method.retrieve is not None
        count = self.count(method, setting, backbone)
        words = {**self._words(method.retrieve, setting, key, seed), "top_k": count}
        return {"data.partition": None, **{f"data.retrieved.{name}": value for name, value in words.items()}}

    def _words(self, retrieve: Retrieve, setting: Setting, key: str, seed: int) -> dict[str, Any]:
        excluded, _, content = self._among(retrieve, setting)
        words: dict[str, Any] = {"library": self.study.library, "key": key, "by": retrieve.by, "order": retrieve.order}
        words |= {"exclude": excluded, "digest": content}
        return words | ({"seed": seed} if retrieve.order == "random" else {})

    def _fingerprint(self, backbone: str) -> str | None:
        """Of the weights of a backbone, if it lies here and is small enough to be loaded while planning."""
        if backbone not in self._weights:
            from mpt.backbone.loading import BackboneOptions
            from mpt.backbone.model import Backbone
            from mpt.backbone.source import resolve, weights_in

            self._weights[backbone] = None
            try:
                if 0 < weights_in(Path(resolve(backbone))) <= _SMALL:
                    self._weights[backbone] = Backbone(backbone, BackboneOptions(dtype="bfloat16")).fingerprint
            except UserError:  # a run of it will tell
                pass
        return self._weights[backbone]

    def _among(self, retrieve: Retrieve, setting: Setting) -> tuple[list[str], list[Entry], str]:
        """What is excluded, what is left, and its digest; found out once, not for each of many runs."""
        from mpt.library.retrieval import candidates, digest

        asked = (retrieve.everything, setting.name)
        if asked not in self._known:
            excluded = self.excluded(retrieve, setting)
            left = candidates(self.library, excluded)
            self._known[asked] = (excluded, left, digest(left))
        return self._known[asked]


def changed_library(gone: Sequence[str], words: Sequence[str]) -> str | None:
    """The library of a command line, if it is all that differs.

    Args:
        gone: the words of an earlier one that it does not have.
        words: its own.
    """
    digests, libraries = (
        tuple(f"--{part}.{name}=" for part in ("model.init", "data.retrieved")) for name in ("digest", "library")
    )
    if not gone or not all(word.startswith(digests) for word in gone):
        return None
    return next((word.partition("=")[2] for word in words if word.startswith(libraries)), None)


def _is_kept(option: str) -> bool:
    """Whether the study may say it of the runs that make keys."""
    return any(plain(option) == name or plain(option).startswith(f"{name}.") for name in _KEPT)
