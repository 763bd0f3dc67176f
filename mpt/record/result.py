"""What a study's run is, and what came out of it: the content of its ``result.json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mpt.util.errors import UserError
from mpt.util.reading import read_json


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What a run is among the runs of its study, as its files and W&B say it.

    Attributes:
        stage: ``upstream``, ``downstream``, or ``test`` where what a downstream run learned is tested on another task.
        partition: in a study of several, the setting whose sources it learned from or whose options it has; none for
            a run that is the same for all.
        target: the target task; of an upstream run the one that it is for alone, if it is not for all.
        learning_rate: none where there was no choice.
        upstream_seed: of a downstream run, the seed of the upstream run that it starts from; none if it has none, and
            in folders from before it was told.
        trained_on: of such a test the task that was learned on; ``target`` is the other one.
    """

    method: str
    stage: str
    partition: str | None = None
    target: str | None
    seed: int
    learning_rate: float | None
    upstream_seed: int | None = None
    trained_on: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Its fields by name, in the order of the files; the last is there only where it says something."""
        named = {part.name: getattr(self, part.name) for part in fields(RunIdentity)}
        return {name: value for name, value in named.items() if value is not None or name != "trained_on"}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What came out of a run; what is none was not measured, or is not told by a result of an earlier version.

    Attributes:
        metric: of the test score; none of an upstream run.
        score: on test, of the prompt that was best on dev.
        score_written: of what the model writes on test, where ``score`` is that of the likeliest labels.
        measures: what else was measured at test, by task and name: ``xquad-questions-th/LID_th``.
        dev_score: of that prompt; none where nothing was judged on dev.
        best_step: after which step it was kept.
        steps: optimiser steps that were made.
        examples: example passes, see :attr:`mpt.learn.learner.Learner.examples`.
        source: what it took from a library, a list where it was several; none if it took nothing.
        similarity: of the source's key to the target's, likewise.
        resumed: whether it went on after a kill.
        fingerprint: of the planned run that it is the result of.
        recipe: of the same.
        arguments: what followed ``mpt`` on the command line.
        environment: versions, commit, device, precision (not in those of earlier versions) and host.
        side_by_side: how many runs were trained as one batch, it among them; none of a run alone.
        seconds: of computing; its share where it was trained beside others.
    """

    metric: str | None = None
    score: float | None = None
    score_written: float | None = None
    measures: Mapping[str, float] | None = None
    dev_score: float | None = None
    best_step: int | None = None
    steps: int | None = None
    examples: int | None = None
    source: str | list[str] | None = None
    similarity: float | list[float] | None = None
    resumed: bool = False
    fingerprint: str = ""
    recipe: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    side_by_side: int | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The result as JSON, without the run's identity."""
        rare = ("score_written", "measures", "source", "similarity", "side_by_side")
        return {name: value for name, value in asdict(self).items() if value is not None or name not in rare}


_Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _measures(value: Any) -> bool:
    return isinstance(value, dict) and all("/" in name for name in value) and all(map(_number, value.values()))


def _fraction(value: Any) -> bool:
    return _number(value) and -1 <= value <= 1


def _all(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _or_all(check: _Check) -> _Check:
    return lambda value: check(value) or _all(check)(value)


_KINDS: dict[str, _Check] = {
    "metric": _text,
    "score": _fraction,
    "score_written": _fraction,
    "measures": _measures,
    "dev_score": _number,
    "best_step": _count,
    "steps": _count,
    "examples": _count,
    "source": _or_all(_text),
    "similarity": _or_all(_number),
    "resumed": lambda value: isinstance(value, bool),
    "fingerprint": _text,
    "recipe": _all(_text),
    "arguments": _all(_text),
    "versions": lambda value: isinstance(value, dict) and all(map(_text, value.values())),
    "device": _text,
    "commit": lambda value: value is None or _text(value),
    "precision": _text,
    "side_by_side": _count,
    "seconds": lambda value: _number(value) and value >= 0,
}
"""What a result may say of what."""
_ENVIRONMENT = ("versions", "commit", "device", "precision", "host")
REPORTED = ("seconds", "versions", "device")
"""What a report cannot do without, of each run."""
JUDGED = ("metric", "score")
"""Likewise, of a run that is judged on test."""
_WHOSE = ("method", "stage", "target", "seed", "learning_rate")
"""What a result says of whose it is, in every version."""


def read_result(path: Path, needed: Sequence[str] = (), identity: Mapping[str, Any] | None = None) -> RunResult:
    """The result of a run.

    Args:
        needed: names of what must be there.
        identity: of the run that it should be of.

    Raises:
        UserError: it is not what was written, lacks something, or is another run's.
    """
    content = read_json(path, "delete its folder to have the run done again")
    for name, planned in (identity or {}).items():
        if name in _WHOSE and content.get(name, planned) != planned:
            raise UserError(
                f"{path} is another run's: its {name} is {content[name]!r:.100}, and {planned!r} was planned; "
                "delete its folder to have the run done again"
            )
    environment = content.get("environment")
    if isinstance(environment, dict):  # device and versions once stood among the rest
        content = {**environment, **content}
    wrong = [
        name
        for name, is_right in _KINDS.items()
        if (name in needed or content.get(name) is not None) and not is_right(content.get(name))
    ]
    names, values = (_listed(content.get(name)) for name in ("source", "similarity"))
    if not wrong and names and len(names) != len(values):
        wrong = ["similarity"]
    if wrong:
        raise UserError(
            f"{path} has {wrong[0]} {content.get(wrong[0])!r:.100}, which mpt study run does not write; delete its "
            "folder to have the run done again"
        )
    known = {name: content[name] for name in (part.name for part in fields(RunResult)) if content.get(name) is not None}
    return RunResult(**known | {"environment": {name: content[name] for name in _ENVIRONMENT if name in content}})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
