"""One run of a study as it is planned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from mpt.fit.configs import find_config
from mpt.record.folder import PROMPT, RunFolder
from mpt.record.result import RunIdentity

PLACE = "{study}"
"""Stands for the study's folder in a recipe, so that a moved folder is still the same study."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun(RunIdentity):
    """One run of a study.

    Attributes:
        key: its name, and its folder below the study's:
            ``<method>/<target>-<seed>[-up<upstream seed>][-rank<rank>][-lr<rate>]``, with ``-up`` where the method has
            several upstream seeds, or ``<method>/upstream-[<target>-]<seed>``, the latter and what starts from it below
            ``<method>/<setting>`` in a study of several; ``embedding/<target>-<seed>`` makes a target's key to the
            library.
        recipe: the words of its ``mpt fit``, with :data:`PLACE` for the study's folder.
        needs: keys of the runs that must be finished before.
        fingerprint: digest of the recipe and of what it reads: config file, data, backbone, and the runs it
            needs; a result is this run's only if it carries the same.
        out: the study's folder.
        rank: the place of the retrieved prompt that it starts from, if it starts from one.
    """

    key: str
    stage: Literal["upstream", "downstream"]
    recipe: tuple[str, ...]
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
        """What is in it."""
        return RunFolder(self.folder)

    @property
    def prompt(self) -> str:
        """The folder of its prompt, as the recipes of others name it."""
        return f"{PLACE}/{self.key}/{PROMPT}"

    @property
    def arguments(self) -> list[str]:
        """What follows ``mpt`` on the command line; downstream, ``mpt test`` with the same options comes
        after.
        """
        return [word.replace(PLACE, str(self.out)) for word in self.recipe]


def option(cell: PlannedRun, name: str) -> Any:
    """What a run's command line or config file says about an option; none if neither does."""
    section, _, rest = name.partition(".")
    for word in reversed(cell.recipe):
        for spelt in (name, f"{section}.init_args.{rest}"):
            if word.startswith(f"--{spelt}="):
                return yaml.safe_load(word.partition("=")[2])
    config = next(word.partition("=")[2] for word in cell.recipe if word.startswith("--config="))
    content = _Config.of(config).content.get(section) or {}
    return content.get(rest, (content.get("init_args") or {}).get(rest))


class _Config:
    """A config file, read once."""

    known: dict[str, _Config] = {}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of(cls, name: str) -> _Config:
        return cls.known.setdefault(name, cls(name))

    @cached_property
    def content(self) -> dict[str, Any]:
        content = yaml.safe_load(find_config(self.name).read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
