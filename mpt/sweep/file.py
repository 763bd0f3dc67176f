"""Reading a W&B sweep file whose trials are ``mpt sweep trial``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mpt.sweep.distributions import Parameter, read_parameter
from mpt.util.errors import UserError
from mpt.util.names import nearest

OBJECTIVE = "ARG"
METHODS = ("grid", "random", "bayes")

_KNOWN = (
    "program",
    "command",
    "method",
    "metric",
    "parameters",
    "name",
    "description",
    "project",
    "entity",
    "run_cap",
    "early_terminate",
    "controller",
    "apiVersion",
    "kind",
)
_WORDS = ("mpt", "sweep", "trial")


@dataclass(frozen=True)
class Sweep:
    """A sweep as its file says it.

    Attributes:
        name: the file's, which the folder of its report goes by.
        method: one of :data:`METHODS`.
        parameters: dotted option of the upstream run to the values it may take.
        words: what its command gives to ``mpt sweep trial`` beside the parameters.
        cap: the most trials; none if it does not say.
        stops_early: whether it would have W&B stop bad trials before their end.
        file: where it was read from.
    """

    name: str
    method: str
    parameters: Mapping[str, Parameter]
    words: tuple[str, ...]
    cap: int | None
    stops_early: bool
    file: str


def load_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: it is not YAML, or not a sweep that ``mpt sweep run`` can do; names the file, the key and what is
            right.
    """
    content = read(path)
    if unknown := [key for key in content if key not in _KNOWN]:
        raise UserError(f"{path}: the key {unknown[0]} is not known here; {nearest(str(unknown[0]), _KNOWN)}")
    method = content.get("method")
    if method not in METHODS:
        raise UserError(f"{path}: method must be one of {', '.join(METHODS)}, not {method!r}")
    _check_metric(content.get("metric"), path)
    parameters = content.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise UserError(f"{path}: parameters must name at least one option of the upstream run and its values")
    cap = content.get("run_cap")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise UserError(f"{path}: run_cap must be a whole number of at least 1, not {cap!r}")
    return Sweep(
        name=path.stem,
        method=method,
        # By name, as W&B hands them on.
        parameters={str(name): read_parameter(parameters[name], f"{path}: {name}") for name in sorted(parameters)},
        words=_words(content.get("command"), path),
        cap=cap,
        stops_early="early_terminate" in content,
        file=str(path),
    )


def is_sweep(path: Path) -> bool:
    """Whether a YAML file is a sweep, not a study."""
    content = read(path)
    return "parameters" in content and "method" in content


def read(path: Path) -> dict[Any, Any]:
    """A YAML file's mapping, as W&B reads it."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a sweep: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must be a mapping of keys to values")
    return content


def _check_metric(metric: Any, path: Path) -> None:
    right = f"metric must be {{name: {OBJECTIVE}, goal: maximize}}"
    if not isinstance(metric, dict) or metric.get("name") != OBJECTIVE:
        raise UserError(f"{path}: {right}, for {OBJECTIVE} is what a trial logs")
    if metric.get("goal") != "maximize":
        raise UserError(f"{path}: {right}; W&B minimises if nothing is said, and more {OBJECTIVE} is better")


def _words(command: Any, path: Path) -> tuple[str, ...]:
    """What stands between ``mpt sweep trial`` and the parameters."""
    example = '["${env}", mpt, sweep, trial, studies/quickstart, --method, FoMAML, "${args}"]'
    if not isinstance(command, list):
        raise UserError(f"{path}: command must be a list such as {example}")
    words = [str(word) for word in command]
    start = next((i for i in range(len(words)) if tuple(words[i : i + 3]) == _WORDS), None)
    if start is None or words[-1] != "${args}":
        raise UserError(f"{path}: command must run mpt sweep trial and end with ${{args}}, such as {example}")
    between = words[start + 3 : -1]
    if macros := [word for word in between if word.startswith("${")]:
        raise UserError(f"{path}: {macros[0]} after mpt sweep trial has no meaning here; write it out")
    return tuple(between)
