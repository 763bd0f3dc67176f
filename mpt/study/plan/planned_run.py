"""One run of a study as it is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mpt.fit.resolve import ResolvedRun, resolve_run
from mpt.record.folder import PROMPT, RunFolder
from mpt.record.options import as_words
from mpt.record.result import RunIdentity

PLACE = "{study}"
"""Stands for the study's folder among a run's options, so that a moved folder is still the same study."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun(RunIdentity):
    """One run of a study.

    Attributes:
        key: its name, and its folder below the study's:
            ``<method>/<target>-<seed>[-up<upstream seed>][-rank<rank>][-member<number>][-lr<rate>]``, with ``-up``
            where the method has several upstream seeds and ``-member`` where it is an ensemble, or
            ``<method>/upstream-[<target>-]<seed>``, the latter and what starts from it below ``<method>/<setting>`` in
            a study of several; ``embedding/<target>-<seed>`` makes a target's key to the library, and ``…-on-<task>``
            tests what a run learned on another task.
        options: of its ``mpt fit`` or ``mpt test``, by name and in order, with :data:`PLACE` for the study's folder.
        config: the text of its config file.
        needs: keys of the runs that must be finished before.
        fingerprint: digest of the options and of what it reads: config file, data, backbone, and the runs it
            needs; a result is this run's only if it carries the same.
        out: the study's folder.
        rank: the place of the retrieved prompt that it starts from, if it starts from one.
    """

    key: str
    stage: Literal["upstream", "downstream", "test"]
    options: Mapping[str, Any] = field(hash=False)
    config: str = field(repr=False)
    needs: tuple[str, ...]
    fingerprint: str
    out: Path
    rank: int | None = None

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.out / self.key

    @property
    def files(self) -> RunFolder:
        """The run's folder and its files."""
        return RunFolder(self.folder)

    @property
    def prompt(self) -> str:
        """The folder of its prompt, as the recipes of others name it."""
        return f"{PLACE}/{self.key}/{PROMPT}"

    @cached_property
    def resolved(self) -> ResolvedRun:
        """Every option of the run with its value, defaults included."""
        return resolve_run(self.config, self.options)

    @cached_property
    def recipe(self) -> tuple[str, ...]:
        """The words of its ``mpt fit`` or ``mpt test``, as its files keep them."""
        return ("test" if self.stage == "test" else "fit", *as_words(self.options))

    @property
    def arguments(self) -> list[str]:
        """What follows ``mpt`` on the command line; downstream, ``mpt test`` with the same options comes after."""
        return [word.replace(PLACE, str(self.out)) for word in self.recipe]
