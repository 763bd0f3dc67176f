"""The folder of one run: what its files are called, how it begins and how it ends."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpt.record.options import RunOptions, said_in
from mpt.record.result import RunResult, read_result
from mpt.util.checkpoints import LAST
from mpt.util.errors import UserError
from mpt.util.files import write_json
from mpt.util.reading import read_json, read_text

CONFIG, METRICS, PREDICTIONS, LANGUAGES = "config.yaml", "metrics.jsonl", "predictions.jsonl", "languages.jsonl"
PROMPT, EARLY, MODEL, ADAPTER = "prompt", "early", "model", "adapter"
STARTED, RESULT, FAILED, LOG = "started.json", "result.json", "failed.json", "log.txt"

ENSEMBLE, TRIED = "ensemble", "tried.json"
"""What ``mpt adapt`` leaves beside its prompt: the prompts that answer together, and each start's evaluations."""

OWN = (CONFIG, LAST, METRICS, PREDICTIONS, LANGUAGES, PROMPT, EARLY, MODEL, ADAPTER)
"""What of a run's folder ``mpt fit`` and ``mpt test`` read and write again."""


@dataclass(frozen=True)
class RunFailure:
    """Why a run has no result.

    Attributes:
        id: tells this failure from one before it.
    """

    reason: str
    id: str


class RunFolder:
    """A run's folder and its files. All that is written here is written whole or not at all.

    A run of a study begins with ``started.json`` and ends with ``result.json`` or ``failed.json``; one that is done
    alone, by ``mpt fit``, has none of the three.

    Attributes:
        config: every option of the run.
        checkpoint: what a run that was killed goes on from.
        metrics: a row per evaluation.
        prompt: the prompt that was best on dev.
        early: folder of the prompts of early steps.
        log: what the run printed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.checkpoint, self.metrics = path / CONFIG, path / LAST, path / METRICS
        self.prompt, self.early, self.log = path / PROMPT, path / EARLY, path / LOG

    def early_prompt(self, step: int) -> Path:
        """The prompt of an early step."""
        return self.early / f"step-{step}"

    def set_aside(self) -> Path | None:
        """Rename the folder of an earlier run, if it is one, so that a new one neither mixes with it nor loses it.

        Returns:
            Where it is now.
        """
        if not self.config.is_file():
            return None
        place, number = Path(os.path.abspath(self.path)), 1
        if Path.cwd().is_relative_to(place.resolve()):
            raise UserError(
                f"{self.path} holds an earlier run and is the folder that you are in, which cannot be renamed; name "
                "another by --trainer.default_root_dir"
            )
        name = place.name
        while place.with_name(f"{name}.{number}").exists():
            number += 1
        os.rename(place, place.with_name(f"{name}.{number}"))
        print(f"an earlier run in {self.path} was kept as {name}.{number}")
        return place.with_name(f"{name}.{number}")

    def put_back(self, earlier: Path) -> None:
        """Undo :meth:`set_aside` for a run that ended with no more than a config and numbers in its folder."""
        files = (path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())
        if {name for name in files if not name.startswith("wandb/")} - {CONFIG, METRICS, LANGUAGES}:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):  # it stays where it is said to be
            os.rename(earlier, self.path)
            print(f"nothing was learned, and the earlier run is in {self.path} again")

    # A run of a study ----------------------------------------------------------------------------------------

    def start(self, fingerprint: str, recipe: Sequence[str], resumed: bool) -> None:
        """Begin a run in an empty folder, or go on with it."""
        if not resumed:
            self.clear()
        if not self.is_started:
            self.set_aside()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / FAILED).unlink(missing_ok=True)
        write_json(self.path / STARTED, {"fingerprint": fingerprint, "recipe": recipe})

    def options(self) -> RunOptions:
        """What its configuration says.

        Raises:
            UserError: it is gone, cannot be read, or is none.
        """
        return RunOptions(said_in(read_text(self.config, "run's config")))

    @property
    def is_started(self) -> bool:
        """Whether a study began a run here."""
        return (self.path / STARTED).is_file()

    def is_resumable(self, fingerprint: str) -> bool:
        """Whether a run of this fingerprint left a checkpoint."""
        try:
            started = self.is_started and read_json(self.path / STARTED).get("fingerprint") == fingerprint
        except UserError:  # damaged; the run is done again
            return False
        return started and self.checkpoint.is_file()

    def clear(self) -> None:
        """Take away what an unfinished run of a study left; never anything else."""
        if self.is_started and not self.is_finished:
            shutil.rmtree(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether there is a result."""
        return (self.path / RESULT).is_file()

    def finish(self, identity: Mapping[str, Any], result: RunResult) -> None:
        """Write the result, which makes the run a finished one.

        Raises:
            UserError: the folder was removed since the run began; what was written into a new one goes.
        """
        if not self.is_started:
            shutil.rmtree(self.path, ignore_errors=True)
            raise UserError(f"{self.path} was removed while the run was at work; mpt study run does it again")
        write_json(self.path / RESULT, {**identity, **result.as_json()})

    def tidy(self) -> None:
        """Take away what a finished run has no use for: what it could be resumed from.

        With a fine-tuned model it is the largest file. A kill may come between the result and this.
        """
        self.checkpoint.unlink(missing_ok=True)

    def result(self, needed: Sequence[str] = (), identity: Mapping[str, Any] | None = None) -> RunResult | None:
        """The result, if there is one: see :func:`mpt.record.result.read_result`."""
        return read_result(self.path / RESULT, needed, identity) if self.is_finished else None

    def fail(self, reason: str, arguments: Sequence[str]) -> None:
        """Record why the run has no result."""
        facts = {"reason": reason, "arguments": arguments, "log": str(self.log), "id": uuid.uuid4().hex}
        write_json(self.path / FAILED, facts)

    def failure(self) -> RunFailure | None:
        """Why the run has no result, if it failed."""
        path = self.path / FAILED
        if self.is_finished or not path.is_file():
            return None
        try:
            content = read_json(path)
        except UserError as error:  # damaged: it failed, and nothing tells that the failure is a new one
            return RunFailure(str(error), "")
        return RunFailure(str(content.get("reason", "it does not say why")), str(content.get("id", "")))
