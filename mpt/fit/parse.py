"""What LightningCLI makes of a run's words, without doing the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpt.fit.command import RunCLI, run_lightning
from mpt.fit.resolve import ResolvedRun, resolve_run
from mpt.util.errors import UserError


class _Looking(RunCLI):
    """Ends where a run would begin."""

    def after_instantiate_classes(self) -> None:
        """There is no Trainer to prepare."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Not this one."""

    @property
    def text(self) -> str:
        """The run's whole configuration, as ``config.yaml`` holds it."""
        return str(self._parser(self.subcommand).dump(self.config[self.subcommand], skip_none=False))


class _Parsed(_Looking):
    def _set_seed(self) -> None:
        """Nothing random follows."""

    def before_instantiate_classes(self) -> None:
        """The run's folder is not looked at."""

    def instantiate_classes(self) -> None:
        """Nothing is made."""


class _Made(_Looking):
    def instantiate_trainer(self, **_: Any) -> Any:
        """None: the Trainer's options are enough."""


@dataclass(frozen=True)
class MadeRun:
    """A run whose parts are made.

    Attributes:
        learner: with nothing loaded yet.
        data: likewise.
        trainer: the Trainer's options; its callbacks and logger are made.
        config: everything, as W&B is told.
        text: everything, as ``config.yaml`` holds it.
    """

    learner: Any
    data: Any
    trainer: dict[str, Any]
    config: dict[str, Any]
    text: str

    def callback(self, kind: type) -> Any:
        """The callback of a kind, if there is one."""
        return next((part for part in self.trainer["callbacks"] or [] if type(part) is kind), None)


def parse_run(words: Sequence[str]) -> ResolvedRun:
    """A run with every option in it, as LightningCLI's parser resolves it; nothing is made, seeded or loaded.

    Raises:
        UserError: there is no such config, or they do not fit it.
    """
    cli: Any = run_lightning(list(words), _Parsed)
    return resolve_run(cli.text)


def make_run(words: Sequence[str]) -> MadeRun:
    """Parse a run's words as ``mpt fit`` does, seed everything, and make learner, data, callbacks and logger."""
    try:
        cli: Any = run_lightning(list(words), _Made)
    except SystemExit as stop:
        raise UserError(f"the command line was refused ({stop.code})") from stop
    trainer = dict(cli._get(cli.config_init, "trainer", default={}))
    return MadeRun(cli.model, cli.datamodule, trainer, cli.config[cli.subcommand].as_dict(), cli.text)
